package runner

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/stretchr/testify/require"
)

func TestImagesBecomeDynamoDBJSON(t *testing.T) {
	image := map[string]types.AttributeValue{
		"s":    &types.AttributeValueMemberS{Value: "a \"quoted\" <tag> \u2028 \x01"},
		"n":    &types.AttributeValueMemberN{Value: "9007199254740993"},
		"b":    &types.AttributeValueMemberB{Value: []byte{0, 1, 255}},
		"yes":  &types.AttributeValueMemberBOOL{Value: true},
		"null": &types.AttributeValueMemberNULL{Value: true},
		"ss":   &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
		"ns":   &types.AttributeValueMemberNS{Value: []string{"1", "2"}},
		"bs":   &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{
			&types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"é": &types.AttributeValueMemberS{}}},
			&types.AttributeValueMemberN{Value: "1"},
		}},
		"odd": nil,
	}
	require.JSONEq(t, `{
		"s":{"S":"a \"quoted\" <tag> \u2028 \u0001"}, "n":{"N":"9007199254740993"}, "b":{"B":"AAH/"}, "yes":{"BOOL":true},
		"null":{"NULL":true}, "ss":{"SS":["a","b"]}, "ns":{"NS":["1","2"]}, "bs":{"BS":["AQ==","Ag=="]},
		"l":{"L":[{"M":{"é":{"S":""}}},{"N":"1"}]}, "odd":{}
	}`, string(appendImage(nil, image)))
	require.True(t, json.Valid(appendImage(nil, nil)))
}
