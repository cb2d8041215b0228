package fakedynamodb_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func (h *harness) describe() *types.TableDescription {
	h.Helper()
	out, err := h.client.DescribeTable(h.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(tableName)})
	require.NoError(h, err)
	return out.Table
}

func TestTables(t *testing.T) {
	h := start(t)
	d := h.describe()
	assert.Equal(t, types.TableStatusActive, d.TableStatus)
	assert.Equal(t, createInput().KeySchema, d.KeySchema)
	assert.Equal(t, "group", *d.AttributeDefinitions[0].AttributeName, "sorted by name")
	assert.Equal(t, types.BillingModePayPerRequest, d.BillingModeSummary.BillingMode)
	assert.Equal(t, types.StreamViewTypeNewAndOldImages, d.StreamSpecification.StreamViewType)
	assert.Equal(t, "by-group", *d.GlobalSecondaryIndexes[0].IndexName)
	_, err := h.client.CreateTable(t.Context(), createInput())
	refused(t, err, "ResourceInUseException", "Table already exists: events")
	for _, name := range []string{"b-table", "a-table"} {
		in := createInput()
		in.TableName = aws.String(name)
		out, err := h.client.CreateTable(t.Context(), in)
		require.NoError(t, err)
		assert.Equal(t, types.TableStatusCreating, out.TableDescription.TableStatus)
	}
	var names []string
	pages := dynamodb.NewListTablesPaginator(h.client, &dynamodb.ListTablesInput{Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		names = append(names, out.TableNames...)
	}
	assert.Equal(t, []string{"a-table", "b-table", "events"}, names)
	_, err = h.client.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(tableName)})
	require.NoError(t, err)
	_, err = h.client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(tableName)})
	refused(t, err, "ResourceNotFoundException", "Requested resource not found: Table: events not found")
	refused(t, h.tryPut(row("p", "s")), "ResourceNotFoundException", "Requested resource not found")
}

func TestTablesThatAreRefused(t *testing.T) {
	client := fakedynamodb.New().Client(once)
	for part, change := range map[string]func(*dynamodb.CreateTableInput){
		"'tableName' failed":                func(in *dynamodb.CreateTableInput) { in.TableName = aws.String("x") },
		"are not defined":                   func(in *dynamodb.CreateTableInput) { in.AttributeDefinitions = in.AttributeDefinitions[:1] },
		"AttributeDefinitions are not used": func(in *dynamodb.CreateTableInput) { in.GlobalSecondaryIndexes = nil },
		"first KeySchemaElement":            func(in *dynamodb.CreateTableInput) { in.KeySchema = in.KeySchema[1:] },
		"must both be specified":            func(in *dynamodb.CreateTableInput) { in.BillingMode = types.BillingModeProvisioned },
		"Neither ReadCapacityUnits": func(in *dynamodb.CreateTableInput) {
			in.ProvisionedThroughput = &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(1), WriteCapacityUnits: aws.Int64(1)}
		},
		"Unknown StreamViewType": func(in *dynamodb.CreateTableInput) { in.StreamSpecification.StreamViewType = "ALL" },
	} {
		in := createInput()
		change(in)
		_, err := client.CreateTable(t.Context(), in)
		invalid(t, err, part)
	}
}

func TestSlowTables(t *testing.T) {
	h := start(t, fakedynamodb.WithSlowTables(2))
	refused(t, h.tryPut(row("p", "s")), "ResourceNotFoundException", "")
	stream := func(on bool) error {
		spec := &types.StreamSpecification{StreamEnabled: aws.Bool(on)}
		_, err := h.client.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: aws.String(tableName), StreamSpecification: spec})
		return err
	}
	refused(t, stream(false), "ResourceInUseException", "")
	_, err := h.client.UpdateTimeToLive(t.Context(), ttl("ttl", true))
	refused(t, err, "ResourceInUseException", "")
	require.NoError(t, dynamodb.NewTableExistsWaiter(h.client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(tableName)}, time.Minute,
		func(o *dynamodb.TableExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = time.Millisecond, time.Millisecond
		}))
	h.put(row("p", "s"))
	require.NoError(t, stream(false))
	assert.Equal(t, types.TableStatusUpdating, h.describe().TableStatus)
	h.put(row("p", "s2"))
}

func TestStreamOnAndOff(t *testing.T) {
	h := start(t)
	first := *h.describe().LatestStreamArn
	update := func(spec *types.StreamSpecification) error {
		_, err := h.client.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: aws.String(tableName), StreamSpecification: spec})
		return err
	}
	on := &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeKeysOnly}
	off := &types.StreamSpecification{StreamEnabled: aws.Bool(false)}
	invalid(t, update(on), "already has an enabled stream")
	require.NoError(t, update(off))
	assert.Nil(t, h.describe().StreamSpecification)
	assert.Equal(t, first, *h.describe().LatestStreamArn)
	invalid(t, update(off), "no stream to disable")
	require.NoError(t, update(on))
	assert.NotEqual(t, first, *h.describe().LatestStreamArn)
	invalid(t, update(nil), "At least one of")
}

func ttl(attribute string, on bool) *dynamodb.UpdateTimeToLiveInput {
	return &dynamodb.UpdateTimeToLiveInput{TableName: aws.String(tableName),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(attribute), Enabled: aws.Bool(on)}}
}

func TestTimeToLive(t *testing.T) {
	h := start(t)
	set := func(attribute string, on bool) error {
		_, err := h.client.UpdateTimeToLive(t.Context(), ttl(attribute, on))
		return err
	}
	status := func() *types.TimeToLiveDescription {
		out, err := h.client.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: aws.String(tableName)})
		require.NoError(t, err)
		return out.TimeToLiveDescription
	}
	assert.Equal(t, types.TimeToLiveStatusDisabled, status().TimeToLiveStatus)
	invalid(t, set("ttl", false), "already disabled")
	require.NoError(t, set("ttl", true))
	assert.Equal(t, types.TimeToLiveStatusEnabled, status().TimeToLiveStatus)
	assert.Equal(t, "ttl", *status().AttributeName)
	invalid(t, set("ttl", true), "TimeToLive is already enabled")
	invalid(t, set("other", true), "active on a different AttributeName")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	unix := func(d time.Duration) attributes { return attributes{"ttl": num(itoa(now.Add(d).Unix()))} }
	h.put(row("p", "past", unix(-time.Second)))
	h.put(row("p", "now", unix(0)))
	h.put(row("p", "future", unix(time.Hour)))
	h.put(row("p", "five years", unix(-5*366*24*time.Hour)))
	h.put(row("p", "milliseconds", attributes{"ttl": num(itoa(now.Add(-time.Hour).UnixMilli()))}))
	h.put(row("p", "text", attributes{"ttl": text(itoa(now.Add(-time.Hour).Unix()))}))
	h.put(row("p", "none"))
	assert.Equal(t, 1, h.server.ExpireNow(tableName, now))
	assert.Nil(t, h.get("p", "past"))
	assert.Len(t, h.server.Items(tableName), 6)
	writes := h.server.Writes()
	last := writes[len(writes)-1]
	assert.Equal(t, fakedynamodb.Write{Operation: "TTL", Table: tableName, Key: `{"pk":{"S":"p"},"sk":{"S":"past"}}`, Changed: true}, last)
	require.NoError(t, set("ttl", false))
	assert.Zero(t, h.server.ExpireNow(tableName, now.Add(2*time.Hour)), "off")
}
