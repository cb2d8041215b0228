package microeventstore_test

import (
	"context"
	"encoding/json"
	"iter"
	"regexp"
	"testing"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/faults"
	"github.com/microeventstore/microeventstore/kinesispublisher"
	"github.com/microeventstore/microeventstore/lambdahandler"
	"github.com/microeventstore/microeventstore/rules"
	"github.com/microeventstore/microeventstore/runner"
)

// What other people's programs are compiled against. A line here that does not
// compile any more is a change that breaks them.
var (
	_ func(driver.Table, ...mes.Option) (*mes.Store, error)                                      = mes.New
	_ func(*mes.Store) driver.Table                                                              = (*mes.Store).Table
	_ func([]byte) (mes.Event, error)                                                            = mes.Parse
	_ func(any) (mes.Event, error)                                                               = mes.NewEvent
	_ func(mes.Event, any) error                                                                 = mes.Event.Decode
	_ func(mes.Event) (map[string]any, error)                                                    = mes.DecodeAs[map[string]any]
	_ func(mes.Event, string) (json.RawMessage, bool)                                            = mes.Event.Field
	_ func(mes.Event, string) (string, bool)                                                     = mes.Event.Tag
	_ func(mes.Event) json.RawMessage                                                            = mes.Event.Data
	_ func(mes.Event) mes.Event                                                                  = mes.Event.Clone
	_ func(*mes.Store, context.Context, ...mes.Event) error                                      = (*mes.Store).Save
	_ func(*mes.Store, context.Context, string, ...mes.ReadOption) (*mes.MicroEventStore, error) = (*mes.Store).GetMicroEventStore
	_ func(*mes.Store, context.Context, string, ...mes.ReadOption) iter.Seq2[mes.Event, error]   = (*mes.Store).Events
	_ func(*mes.Store, context.Context, string) error                                            = (*mes.Store).Delete
	_ func(*mes.Store) error                                                                     = (*mes.Store).Close
	_ func(*mes.MicroEventStore, ...string) bool                                                 = (*mes.MicroEventStore).Has
	_ func(*mes.MicroEventStore, mes.Filter) (mes.Event, bool)                                   = (*mes.MicroEventStore).First
	_ func(*mes.MicroEventStore, mes.Filter) (mes.Event, bool)                                   = (*mes.MicroEventStore).Last
	_ func(*mes.MicroEventStore, mes.Filter) []mes.Event                                         = (*mes.MicroEventStore).Filter
	_ func(*mes.MicroEventStore, mes.Event) []mes.Event                                          = (*mes.MicroEventStore).UpTo
	_ func(*mes.Store, mes.Filter, ...mes.ListenerOption) *mes.Listener                          = mes.NewListener
	_ func(*mes.Listener, context.Context, []mes.Record) error                                   = (*mes.Listener).Handle
	_ func(*mes.Store, mes.Handler, ...mes.TriggerOption) *mes.Trigger                           = mes.NewTrigger
	_ func(*mes.Trigger, context.Context, []mes.Change) error                                    = (*mes.Trigger).Handle
	_ func(*mes.Trigger, context.Context, ...string) error                                       = (*mes.Trigger).Refire
	_ func(error) error                                                                          = mes.Permanent
	_ func(mes.FaultHandler) mes.HandlerOption                                                   = mes.WithFaultHandler
	_ func(context.Context, mes.ChangeSource, *mes.Trigger, ...runner.Option) error              = runner.Trigger
	_ func(context.Context, mes.RecordSource, *mes.Listener, ...runner.Option) error             = runner.Listen
	_ func(runner.DynamoDBStreamAPI, string) *runner.DynamoDBSource                              = runner.DynamoDBStream
	_ func(runner.KinesisAPI, string) *runner.KinesisSource                                      = runner.Kinesis
	_ func(runner.LeaseAPI, string, ...runner.LeaseOption) runner.Option                         = runner.WithLeases
	_ func(*mes.Store, context.Context, string, ...mes.Event) error                              = (*mes.Store).Correlate
	_ func(*mes.Store, mes.Publisher, []rules.Rule, ...rules.Option) (*rules.Evaluator, error)   = rules.New
	_ func(*rules.Evaluator, ...mes.TriggerOption) *mes.Trigger                                  = (*rules.Evaluator).Trigger
	_ mes.Handler                                                                                = (*rules.Evaluator)(nil).Handle
	_ func(mes.Publisher, string, ...faults.Option) mes.FaultHandler                             = faults.Publish
	_ func(*mes.Store, string, ...faults.Option) mes.FaultHandler                                = faults.Save
	_ func(context.Context, *mes.Listener, *mes.Trigger, ...mes.Event) error                     = faults.Resubmit
	_ func(driver.Table, ...mes.Option) (*mes.Store, error)                                      = faults.NewStore
	_ func(string) string                                                                        = faults.HashKey
	_ func(string) bool                                                                          = faults.NotFaults
	_ time.Duration                                                                              = faults.Retention
	_ func(*mes.Listener, ...lambdahandler.ListenerOption) *lambdahandler.KinesisHandler         = lambdahandler.Kinesis
	_ func(*mes.Trigger, ...lambdahandler.TriggerOption) *lambdahandler.DynamoDBHandler          = lambdahandler.DynamoDB
	_ func(*mes.Listener, ...lambdahandler.ListenerOption) *lambdahandler.SQSHandler             = lambdahandler.SQS
	_ func(*mes.Listener, ...lambdahandler.ListenerOption) *lambdahandler.SNSHandler             = lambdahandler.SNS
	_ func(*mes.Listener, ...lambdahandler.ListenerOption) *lambdahandler.EventBridgeHandler     = lambdahandler.EventBridge
	_ mes.Publisher                                                                              = mes.PublisherFunc(nil)
	_ mes.Publisher                                                                              = (*kinesispublisher.Publisher)(nil)
	_ error                                                                                      = (*mes.PublishError)(nil)
	_ mes.ChangeSource                                                                           = (*runner.DynamoDBSource)(nil)
	_ mes.RecordSource                                                                           = (*runner.KinesisSource)(nil)
	_ func(string, ...boltstore.Option) (*boltstore.Table, error)                                = boltstore.Open
	_ mes.ChangeSource                                                                           = (*boltstore.Changes)(nil)
	_ mes.RangeKey                                                                               = mes.RangeKeyFunc(nil)
	_ error                                                                                      = (*mes.SaveError)(nil)
	_ error                                                                                      = (*mes.BatchError)(nil)
	_ error                                                                                      = (*mes.LimitError)(nil)
)

func TestTheDesignsProgramsCompile(*testing.T) {
	_ = []mes.Option{
		mes.WithHashKey(mes.PartitionKey(), mes.Field("thing.group"), mes.Tag("user"), mes.Prefix("user-", mes.Tag("user")), mes.Suffix(".x", mes.PartitionKey()), mes.Join("#", mes.Tag("region"), mes.PartitionKey())),
		mes.WithRangeKey(mes.TimeAndID()), mes.WithRangeKey(mes.EventID()), mes.WithRangeKey(mes.TimeUUID()), mes.WithRangeKey(mes.SequenceNumber()),
		mes.WithTTL(mes.ExpireAfter(33 * 24 * time.Hour)), mes.WithTTL(mes.ExpireAt("until", mes.NeverExpire())),
		mes.WithTTL(mes.ByType(map[string]mes.TTLPolicy{"a": mes.NeverExpire()}, nil)),
		mes.WithProjection(nil), mes.WithDecoder(nil), mes.WithLogger(nil), mes.WithObserver(nil), mes.InsertOnce(),
	}
	_ = []mes.Filter{
		mes.Types("a", "b"), mes.TypeMatches(regexp.MustCompile(`^thing-.+`)), mes.HasTag("a", "b"), mes.All(), mes.Any(), mes.Not(nil), mes.NotFrom("a"), mes.NotSkipped(),
	}
	_ = []mes.ReadOption{
		mes.After("a"), mes.Before("b"), mes.Since(time.Time{}), mes.Until(time.Time{}), mes.Matching(nil), mes.Last(1),
		mes.MaxEvents(1), mes.MaxBytes(1), mes.EventuallyConsistent(),
	}
	_ = []mes.TriggerOption{
		mes.Coalesce(), mes.OnlyHashKeys(nil), mes.OnKinds(mes.Inserted, mes.Modified, mes.Removed), mes.WithConcurrency(1), mes.WithFaultHandler(nil), mes.WithWindows(nil),
	}
	_ = mes.Meta{Stream: "", Shard: "", SequenceNumber: "", MessageID: "", SubSequence: 0, Arrived: time.Time{}, PartitionKey: "", ExplicitHashKey: "", Region: ""}
	_ = mes.Record{Data: nil, Meta: mes.Meta{}, Err: nil}
	_ = mes.Change{Kind: mes.Inserted, HashKey: "", RangeKey: "", New: nil, Old: nil, Expired: false, Meta: mes.Meta{}, Err: nil}
	_ = mes.Fault{Err: nil, Record: nil, Change: nil}
	_ = mes.Failure{Index: 0, Err: nil}
	_ = mes.Event{ID: "", Type: "", PartitionKey: "", Timestamp: time.Time{}, Raw: nil, RangeKey: "", Meta: mes.Meta{}}
	_ = mes.MicroEventStore{HashKey: "", Current: mes.Event{}, New: nil, Events: nil}
}
