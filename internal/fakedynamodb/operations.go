package fakedynamodb

// operation handles one call under the server's lock.
type operation func(body []byte, f Fault) ([]byte, *apiError)

// operationOf finds a call that the fake knows by its X-Amz-Target.
func (s *Server) operationOf(target string) operation {
	switch target {
	case prefixDB + "CreateTable":
		return s.createTable
	case prefixDB + "DescribeTable":
		return s.describeTable
	case prefixDB + "DeleteTable":
		return s.deleteTable
	case prefixDB + "UpdateTable":
		return s.updateTable
	case prefixDB + "ListTables":
		return s.listTables
	case prefixDB + "UpdateTimeToLive":
		return s.updateTimeToLive
	case prefixDB + "DescribeTimeToLive":
		return s.describeTimeToLive
	case prefixDB + "PutItem":
		return s.putItem
	case prefixDB + "GetItem":
		return s.getItem
	case prefixDB + "DeleteItem":
		return s.deleteItem
	case prefixDB + "UpdateItem":
		return s.updateItem
	case prefixDB + "BatchWriteItem":
		return s.batchWriteItem
	case prefixDB + "BatchGetItem":
		return s.batchGetItem
	case prefixDB + "Query":
		return s.query
	case prefixStreams + "ListStreams":
		return s.listStreams
	case prefixStreams + "DescribeStream":
		return s.describeStream
	case prefixStreams + "GetShardIterator":
		return s.getShardIterator
	case prefixStreams + "GetRecords":
		return s.getRecords
	}
	return nil
}
