package dynamostore_test

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// loadConfig stands for config.LoadDefaultConfig: its DynamoDB is in this process.
func loadConfig(context.Context) (aws.Config, error) {
	return aws.Config{Region: "eu-west-1", Credentials: fakedynamodb.Credentials(), HTTPClient: fakedynamodb.New().HTTPClient()}, nil
}
