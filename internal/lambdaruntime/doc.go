// Package lambdaruntime starts a Lambda function's binary for a test, and invokes it:
// the other side of what lambda.Start speaks. Source: "Using the Lambda runtime API
// for custom runtimes", AWS Lambda Developer Guide.
package lambdaruntime
