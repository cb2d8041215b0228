package dynamostore

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A MismatchError lists what about a table does not fit the options.
type MismatchError struct {
	Table    string
	Problems []string // each a sentence, at least one
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("dynamostore: table %s does not fit: %s", e.Table, strings.Join(e.Problems, "; "))
}

// Check compares a table with the options, the same that [New] gets, and
// changes nothing. A *[MismatchError] lists all that does not fit: the names
// and the types of the keys; the index of a [LambdaStreamLayout]; TTL that is
// off or looks at another attribute (see [WithoutTTL]); a stream that is off or
// shows too little of a change (see [WithStreamView]); a table that is not
// active. Any other error says that it could not be found out.
//
// Call it when a program starts, or from a deployment's tests.
func Check(ctx context.Context, client CheckAPI, table string, opts ...Option) error {
	c, err := newConfig(client, table, opts)
	if err != nil {
		return err
	}
	if err := checkContext(ctx); err != nil {
		return err
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	p := prober{client: client, table: table, config: c, caller: newCaller(c)}
	description, err := p.describe(ctx)
	if err != nil {
		return err
	}
	problems := p.keyProblems(description)
	if description.TableStatus != types.TableStatusActive {
		problems = append(problems, fmt.Sprintf("it is not active but %s", printable(string(description.TableStatus))))
	}
	if problem := p.streamProblem(description); problem != "" {
		problems = append(problems, problem)
	}
	if c.ttl {
		ttl, err := p.describeTTL(ctx)
		if err != nil {
			return err
		}
		if problem := p.ttlProblem(ttl); problem != "" {
			problems = append(problems, problem)
		}
	}
	return p.mismatch(problems)
}

// A prober looks at a table.
type prober struct {
	client CheckAPI
	table  string
	config *config
	caller caller
}

func (p *prober) mismatch(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return &MismatchError{Table: p.table, Problems: problems}
}

func (p *prober) describe(ctx context.Context) (description *types.TableDescription, err error) {
	err = p.caller.do(ctx, "DescribeTable", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		output, err := p.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &p.table}, opt)
		if err != nil {
			return err
		}
		if output == nil || output.Table == nil || output.Table.TableStatus == "" {
			return &answerError{text: "the answer does not describe a table"}
		}
		description = output.Table
		return nil
	})
	return description, err
}

func (p *prober) describeTTL(ctx context.Context) (ttl *types.TimeToLiveDescription, err error) {
	err = p.caller.do(ctx, "DescribeTimeToLive", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		output, err := p.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &p.table}, opt)
		if err != nil {
			return err
		}
		if output == nil || output.TimeToLiveDescription == nil {
			return &answerError{text: "the answer does not describe the TTL"}
		}
		ttl = output.TimeToLiveDescription
		return nil
	})
	return ttl, err
}

func (p *prober) keyProblems(d *types.TableDescription) (problems []string) {
	kinds := make(map[string]types.ScalarAttributeType)
	for _, definition := range d.AttributeDefinitions {
		kinds[aws.ToString(definition.AttributeName)] = definition.AttributeType
	}
	found := make(map[types.KeyType]string)
	for _, element := range d.KeySchema {
		found[element.KeyType] = aws.ToString(element.AttributeName)
	}
	for _, key := range [...]struct {
		kind types.KeyType
		name string
	}{
		{types.KeyTypeHash, p.config.names.HashKey},
		{types.KeyTypeRange, p.config.names.RangeKey},
	} {
		name, ok := found[key.kind]
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("it has no %s key, which should be %s (a table's keys stay as they are: use another one)", key.kind, key.name))
		case name != key.name:
			problems = append(problems, fmt.Sprintf("its %s key is %s and not %s", key.kind, name, key.name))
		case kinds[name] != types.ScalarAttributeTypeS:
			problems = append(problems, fmt.Sprintf("its %s key %s is of type %s and not S, a string", key.kind, name, kinds[name]))
		}
	}
	if p.config.lambdaStream {
		if problem := indexProblem(d, kinds[streamData]); problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems
}

// indexProblem says what is wrong with the index of a LambdaStreamLayout. What it is
// sorted by does not matter.
func indexProblem(d *types.TableDescription, kind types.ScalarAttributeType) string {
	for _, index := range d.GlobalSecondaryIndexes {
		if aws.ToString(index.IndexName) != streamIndex {
			continue
		}
		hashKey := ""
		for _, element := range index.KeySchema {
			if element.KeyType == types.KeyTypeHash {
				hashKey = aws.ToString(element.AttributeName)
			}
		}
		switch {
		case hashKey != streamData:
			return fmt.Sprintf("the HASH key of its index %s is %s and not %s", streamIndex, hashKey, streamData)
		case kind != types.ScalarAttributeTypeS:
			return fmt.Sprintf("the HASH key %s of its index %s is of type %s and not S, a string", streamData, streamIndex, kind)
		case index.Projection == nil || index.Projection.ProjectionType != types.ProjectionTypeAll:
			return fmt.Sprintf("its index %s does not hold all attributes (ALL)", streamIndex)
		}
		return ""
	}
	return fmt.Sprintf("it has no index %s, with %s as its HASH key and all attributes in it", streamIndex, streamData)
}

func (p *prober) streamProblem(d *types.TableDescription) string {
	want, stream := p.config.stream, d.StreamSpecification
	switch {
	case want == "":
		return "" // one that is on does no harm
	case !streams(d):
		return "its stream is off"
	case stream.StreamViewType != want && stream.StreamViewType != types.StreamViewTypeNewAndOldImages:
		return fmt.Sprintf("its stream shows %s and not %s", stream.StreamViewType, want)
	}
	return ""
}

func (p *prober) ttlProblem(ttl *types.TimeToLiveDescription) string {
	want := p.config.names.TTL
	switch ttl.TimeToLiveStatus {
	case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
		if name := aws.ToString(ttl.AttributeName); name != want {
			return fmt.Sprintf("its TTL looks at the attribute %s and not %s", name, want)
		}
		return ""
	case types.TimeToLiveStatusDisabling:
		return "its TTL is being switched off"
	}
	return "its TTL is off"
}
