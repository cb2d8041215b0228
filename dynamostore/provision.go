package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/internal/backoff"
)

// provisionTime is how long Provision goes on where the context has no deadline.
// Making a table takes AWS some ten seconds.
const provisionTime = 5 * time.Minute

// Provision makes the table that the options, the same that [New] gets,
// describe, and returns when it can be used: on-demand billing, a HASH and a
// RANGE key that are strings (and the index that a [LambdaStreamLayout] needs),
// a stream with NEW_AND_OLD_IMAGES (see [WithStreamView], [WithoutStream]) and
// TTL (see [WithoutTTL]).
//
// It is safe to run again, also after it failed half way, and by several at
// once: it adds what is missing, a stream or TTL that is off, and leaves alone
// what is there, billing included. It never deletes or switches off anything.
// Where that would be needed, because the keys are others, an index is missing,
// the stream shows too little or TTL looks at another attribute, it returns a
// *[MismatchError] and changes nothing more. Without a deadline it gives up
// after 5 minutes, and if there is no answer at all as [WithMaxAttempts] says.
// What a server that is not AWS lacks, the error names, and the option that
// does without it.
func Provision(ctx context.Context, client ProvisionAPI, table string, opts ...Option) error {
	c, err := newConfig(client, table, opts)
	if err != nil {
		return err
	}
	if err := checkContext(ctx); err != nil {
		return err
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	p := provisioner{
		prober: prober{client: client, table: table, config: c, caller: newCaller(c)},
		client: client,
	}
	if _, ok := ctx.Deadline(); !ok {
		ctx, cancel = context.WithTimeout(ctx, provisionTime)
		defer cancel()
		p.caller.unheard = true // that time is for a table that is made, not for a server that is not there
	}
	return p.run(ctx)
}

type provisioner struct {
	prober
	client ProvisionAPI
}

func (p *provisioner) run(ctx context.Context) error {
	_, err := p.describe(ctx)
	if notFound(err) {
		err = p.create(ctx)
	}
	if err != nil {
		return err
	}
	description, err := p.active(ctx)
	if err != nil {
		return err
	}
	if problems := p.keyProblems(description); len(problems) > 0 {
		return p.mismatch(problems)
	}
	if p.config.stream != "" {
		if description, err = p.stream(ctx, description); err != nil {
			return err
		}
		if problem := p.streamProblem(description); problem != "" {
			return p.mismatch([]string{problem})
		}
	}
	if p.config.ttl {
		return p.ttl(ctx)
	}
	return nil
}

// active waits until the table can be used.
func (p *provisioner) active(ctx context.Context) (*types.TableDescription, error) {
	polls := backoff.Policy{First: 100 * time.Millisecond, Most: 2 * time.Second}
	for n := 1; ; n++ {
		description, err := p.describe(ctx)
		switch {
		case notFound(err): // of a table that has only just been made
		case err != nil:
			return nil, err
		case description.TableStatus == types.TableStatusActive:
			return description, nil
		case description.TableStatus != types.TableStatusCreating && description.TableStatus != types.TableStatusUpdating:
			return nil, p.mismatch([]string{fmt.Sprintf("it is %s and will not become active", printable(string(description.TableStatus)))})
		}
		if waited := polls.Wait(ctx, n); waited != nil {
			if err == nil {
				err = errors.New("it is not active yet")
			}
			return nil, fmt.Errorf("dynamostore: wait for the table: %w (%w)", waited, err)
		}
	}
}

func (p *provisioner) create(ctx context.Context) error {
	names := p.config.names
	input := &dynamodb.CreateTableInput{
		TableName:   &p.table,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: &names.HashKey, AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: &names.RangeKey, AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: &names.HashKey, KeyType: types.KeyTypeHash},
			{AttributeName: &names.RangeKey, KeyType: types.KeyTypeRange},
		},
	}
	if p.config.lambdaStream {
		input.AttributeDefinitions = append(input.AttributeDefinitions,
			types.AttributeDefinition{AttributeName: aws.String(streamData), AttributeType: types.ScalarAttributeTypeS})
		input.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{{
			IndexName: aws.String(streamIndex),
			KeySchema: []types.KeySchemaElement{
				{AttributeName: aws.String(streamData), KeyType: types.KeyTypeHash},
				{AttributeName: &names.RangeKey, KeyType: types.KeyTypeRange},
			},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}}
	}
	if p.config.stream != "" {
		input.StreamSpecification = p.streamSpecification()
	}
	err := p.caller.do(ctx, "CreateTable", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		_, err := p.client.CreateTable(ctx, input, opt)
		return err
	})
	if inUse(err) {
		return nil // somebody else made it, or an attempt before whose answer was lost
	}
	if p.config.stream != "" {
		err = hint(err, "CreateTable", withoutStream)
	}
	return err
}

// What to do on servers that are not AWS, where they lack what the table shall have.
const (
	withoutStream = "a server that has no streams needs WithoutStream, and then no trigger can read the table"
	withoutTTL    = "a server that has no TTL needs WithoutTTL"
)

// hint adds what to do to an error that a server answers with to what it does not know.
func hint(err error, operation, text string) error {
	var e *Error
	if errors.As(err, &e) && e.Operation == operation && (e.Code == "ValidationException" || strings.HasPrefix(e.Code, "UnknownOperation")) {
		e.text += "; " + text
	}
	return err
}

func (p *provisioner) streamSpecification() *types.StreamSpecification {
	return &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: p.config.stream}
}

// streams tells whether a table has a stream.
func streams(d *types.TableDescription) bool {
	return d.StreamSpecification != nil && aws.ToBool(d.StreamSpecification.StreamEnabled)
}

// stream switches the stream on, if it is off.
func (p *provisioner) stream(ctx context.Context, d *types.TableDescription) (*types.TableDescription, error) {
	if streams(d) {
		return d, nil
	}
	err := p.caller.do(ctx, "UpdateTable", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		_, err := p.client.UpdateTable(ctx, &dynamodb.UpdateTableInput{
			TableName:           &p.table,
			StreamSpecification: p.streamSpecification(),
		}, opt)
		return err
	})
	if err != nil && !inUse(err) && !hasCode(err, "ValidationException") {
		return nil, hint(err, "UpdateTable", withoutStream)
	}
	// It may also have been switched on meanwhile, which the next look shows.
	description, waited := p.active(ctx)
	if waited != nil {
		return nil, waited
	}
	switch problem := p.streamProblem(description); {
	case err != nil && problem != "":
		return nil, hint(err, "UpdateTable", withoutStream)
	case problem != "" && !streams(description):
		return nil, p.mismatch([]string{problem + " although it was switched on; " + withoutStream})
	}
	return description, nil
}

// ttl switches TTL on, if it is off.
func (p *provisioner) ttl(ctx context.Context) error {
	found, err := p.describeTTL(ctx)
	if err != nil {
		return err
	}
	problem := p.ttlProblem(found)
	if problem == "" {
		return nil
	}
	if found.TimeToLiveStatus != types.TimeToLiveStatusDisabled && found.TimeToLiveStatus != "" {
		return p.mismatch([]string{problem})
	}
	updated := p.caller.do(ctx, "UpdateTimeToLive", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		_, err := p.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName: &p.table,
			TimeToLiveSpecification: &types.TimeToLiveSpecification{
				AttributeName: &p.config.names.TTL,
				Enabled:       aws.Bool(true),
			},
		}, opt)
		return err
	})
	if updated == nil {
		return nil
	}
	// DynamoDB refuses to switch on what is on: by another Provision, or by an
	// attempt before whose answer was lost.
	if found, err = p.describeTTL(ctx); err == nil && p.ttlProblem(found) == "" {
		return nil
	}
	return hint(updated, "UpdateTimeToLive", withoutTTL)
}

// notFound tells a table that does not exist from other failures.
func notFound(err error) bool { return hasCode(err, "ResourceNotFoundException") }

func inUse(err error) bool { return hasCode(err, "ResourceInUseException") }

func hasCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
