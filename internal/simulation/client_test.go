package simulation

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// sdk is what a client of the SDK is made with. What the library has no part in is
// made cheap: how a call is signed, and how the name of the endpoint is found.
func sdk(network *network) dynamodb.Options {
	return dynamodb.Options{
		HTTPClient:         network,
		Region:             "eu-west-1",
		Credentials:        credentials.NewStaticCredentialsProvider("CANARYACCESSKEY", "CANARY-SECRET", "CANARY-TOKEN"),
		HTTPSignerV4:       signer{},
		EndpointResolverV2: endpoint{},
	}
}

type signer struct{}

// SignHTTP implements dynamodb.HTTPSignerV4: the headers of a signature, without
// the sums.
func (signer) SignHTTP(_ context.Context, c aws.Credentials, r *http.Request, _, _, _ string, _ time.Time, _ ...func(*v4.SignerOptions)) error {
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+c.AccessKeyID+"/eu-west-1/dynamodb/aws4_request, Signature=CANARY-SIGNATURE")
	r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	return nil
}

type endpoint struct{}

// ResolveEndpoint implements dynamodb.EndpointResolverV2.
func (endpoint) ResolveEndpoint(context.Context, dynamodb.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return smithyendpoints.Endpoint{URI: url.URL{Scheme: "https", Host: "dynamodb.eu-west-1.amazonaws.com"}}, nil
}
