package lambdahandler

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(iampolicy.Suite{Tests: m, Check: called.check})
}
