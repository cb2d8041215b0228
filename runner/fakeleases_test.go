package runner

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// fakeLeases is a lease table that knows the few expressions that leases use,
// and costs a hundredth of a DynamoDB behind the SDK: for simulations. The tests
// of leases themselves use fakedynamodb.
type fakeLeases struct {
	mu   sync.Mutex
	rows map[string]attributes
	// check is shown every update before it is made.
	check func(*dynamodb.UpdateItemInput) // nil: nobody looks
}

// leaseClient is one replica's way to it.
type leaseClient struct {
	*fakeLeases
	// before and after may fail, and wait; what fails after has been made.
	before, after func(ctx context.Context) error
	skip          func(i int) bool // keys that a batch leaves unprocessed
}

func (f *leaseClient) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	called.leases.NoteAction("dynamodb:BatchGetItem")
	if err := f.before(ctx); err != nil {
		return nil, err
	}
	out, err := f.get(in)
	if err == nil {
		err = f.after(ctx)
	}
	return out, err
}

func (f *leaseClient) get(in *dynamodb.BatchGetItemInput) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: make(map[string][]attributes), UnprocessedKeys: make(map[string]types.KeysAndAttributes)}
	f.mu.Lock()
	defer f.mu.Unlock()
	for table, request := range in.RequestItems {
		if len(request.Keys) > maxBatchGet || !aws.ToBool(request.ConsistentRead) {
			return nil, errors.New("too many, or not consistent")
		}
		var left []attributes
		for i, key := range request.Keys {
			if f.skip(i) {
				left = append(left, key)
			} else if row := f.rows[value(key[attributeKey])]; row != nil {
				out.Responses[table] = append(out.Responses[table], maps.Clone(row))
			}
		}
		if len(left) > 0 {
			out.UnprocessedKeys[table] = types.KeysAndAttributes{Keys: left}
		}
	}
	return out, nil
}

func (f *leaseClient) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	called.leases.NoteAction("dynamodb:UpdateItem")
	if f.check != nil {
		f.check(in)
	}
	if err := f.before(ctx); err != nil {
		return nil, err
	}
	row, err := f.update(in)
	if err != nil {
		return nil, err
	}
	if err := f.after(ctx); err != nil {
		return nil, err
	}
	return &dynamodb.UpdateItemOutput{Attributes: row}, nil
}

func (f *fakeLeases) update(in *dynamodb.UpdateItemInput) (attributes, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := value(in.Key[attributeKey])
	row := f.rows[key]
	for clause := range strings.SplitSeq(*in.ConditionExpression, " AND ") {
		holds := false
		if name, ok := strings.CutPrefix(clause, "attribute_not_exists("); ok {
			holds = row[in.ExpressionAttributeNames[strings.TrimSuffix(name, ")")]] == nil
		} else {
			name, val, _ := strings.Cut(clause, " = ")
			holds = row != nil && value(row[in.ExpressionAttributeNames[name]]) == value(in.ExpressionAttributeValues[val])
		}
		if !holds {
			return nil, &types.ConditionalCheckFailedException{Message: aws.String("no"), Item: maps.Clone(row)}
		}
	}
	row = maps.Clone(row)
	if row == nil {
		row = maps.Clone(in.Key)
	}
	set, remove, _ := strings.Cut(strings.TrimPrefix(*in.UpdateExpression, "SET "), " REMOVE ")
	if remove != "" {
		delete(row, in.ExpressionAttributeNames[remove])
	}
	set = strings.ReplaceAll(set, "(", "( ")
	for assignment := range strings.SplitSeq(strings.ReplaceAll(set, ", :", " :"), ", ") {
		name, val, _ := strings.Cut(assignment, " = ")
		name = in.ExpressionAttributeNames[name]
		val, plus, _ := strings.Cut(val, " + ")
		if ifAbsent, ok := strings.CutPrefix(val, "if_not_exists( "); ok {
			val = strings.TrimSuffix(ifAbsent[strings.Index(ifAbsent, ":"):], ")")
			if row[name] == nil {
				row[name] = in.ExpressionAttributeValues[val]
			}
		} else {
			row[name] = in.ExpressionAttributeValues[val]
		}
		if plus != "" {
			a, _ := strconv.ParseInt(value(row[name]), 10, 64)
			b, _ := strconv.ParseInt(value(in.ExpressionAttributeValues[plus]), 10, 64)
			row[name] = number(a + b)
		}
	}
	f.rows[key] = row
	return maps.Clone(row), nil
}

func (f *leaseClient) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	called.leases.NoteAction("dynamodb:DeleteItem")
	if err := f.before(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if row := f.rows[value(in.Key[attributeKey])]; row[attributeOwner] != nil && aws.ToString(in.ConditionExpression) == "attribute_not_exists(#owner)" {
		return nil, &types.ConditionalCheckFailedException{Message: aws.String("no")}
	}
	delete(f.rows, value(in.Key[attributeKey]))
	return new(dynamodb.DeleteItemOutput), nil
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
