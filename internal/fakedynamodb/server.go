package fakedynamodb

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
)

const (
	region  = "us-east-1"
	account = "000000000000"
)

// Server is a DynamoDB in memory, reached as an http.RoundTripper. It may be
// used by any number of goroutines, and starts none itself.
type Server struct {
	now    func() time.Time
	shards int
	slow   int

	mu      sync.Mutex // held while a call is applied, never while one waits
	tables  map[string]*table
	streams map[string]*stream // by ARN; a stream outlives its table's wish for it
	calls   int
	targets map[string]int
	writes  []written
	landing []func()
	lag     int
	current int // Call.N of the call that is applied
	ids     int

	faultMu sync.Mutex
	fault   func(Call) Fault
}

// Option changes a new Server.
type Option func(*Server)

// WithClock sets the clock; the default is time.Now.
func WithClock(now func() time.Time) Option { return func(s *Server) { s.now = now } }

// WithShards sets the number of open shards of each new stream; the default is
// one. A hash key keeps to one shard.
func WithShards(n int) Option { return func(s *Server) { s.shards = max(1, n) } }

// WithSlowTables leaves a new table CREATING, and an updated one UPDATING, for
// n calls of DescribeTable; the default is none. The service takes seconds
// ("CreateTable", API reference: asynchronous), and refuses data calls until
// then.
func WithSlowTables(n int) Option { return func(s *Server) { s.slow = n } }

// New makes an empty server.
func New(opts ...Option) *Server {
	s := &Server{
		now:     time.Now,
		shards:  1,
		tables:  map[string]*table{},
		streams: map[string]*stream{},
		targets: map[string]int{},
	}
	for _, o := range opts {
		o(s)
	}
	return s
}

// HTTPClient is an http.Client whose calls go to the server.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: s} }

// Client is a DynamoDB client on the server, with the SDK's own retries and
// defaults but for opts.
func (s *Server) Client(opts ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		HTTPClient:  s.HTTPClient(),
		Region:      region,
		Credentials: Credentials(),
	}, opts...)
}

// StreamsClient is a DynamoDB Streams client on the server.
func (s *Server) StreamsClient(opts ...func(*dynamodbstreams.Options)) *dynamodbstreams.Client {
	return dynamodbstreams.New(dynamodbstreams.Options{
		HTTPClient:  s.HTTPClient(),
		Region:      region,
		Credentials: Credentials(),
	}, opts...)
}

// Credentials are made up; the server checks that a call is signed, not how.
func Credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("AKIDFAKE", "fake", "")
}

// Inject sets the function that is asked for each call's fault; nil sets none.
// It is called by one goroutine at a time, in the order of Call.N. It must not
// block, and may call the server's own methods except Inject.
func (s *Server) Inject(f func(Call) Fault) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.fault = f
}

// Targets says how often each X-Amz-Target was called, faulty calls and
// refused ones (Scan) included.
func (s *Server) Targets() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.targets)
}

// Calls is the number of HTTP requests so far.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// SetLag makes every eventually consistent read miss the last n writes of its
// table ("DynamoDB read consistency"). 0, the default, makes all reads current.
func (s *Server) SetLag(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = n
}

// Land applies the calls that LandLater held back, in their order, and returns
// how many there were.
func (s *Server) Land() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.landing
	s.landing = nil
	for _, apply := range held {
		apply()
	}
	return len(held)
}
