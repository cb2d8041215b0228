package pageway

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microeventstore/microeventstore/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func page(next string, rangeKeys ...string) *driver.Page {
	p := &driver.Page{Next: next}
	for _, rangeKey := range rangeKeys {
		p.Items = append(p.Items, driver.Item{HashKey: "h", RangeKey: rangeKey})
	}
	return p
}

func TestPromise14PagesFollowOneAnother(t *testing.T) {
	up, down := &driver.Query{HashKey: "h"}, &driver.Query{HashKey: "h", Descending: true}
	for _, test := range []struct {
		query *driver.Query
		pages []*driver.Page
		wrong string // of the last one
	}{
		{up, []*driver.Page{page("n", "1", "2"), page("n"), page("n", "3"), page("")}, ""},
		{down, []*driver.Page{page("n", "3", "2"), page("n", "1"), page("")}, ""},
		{up, []*driver.Page{page("n", "1", "2"), page("n", "2")}, "order"},
		{up, []*driver.Page{page("n", "1", "3"), page("n", "2")}, "order"},
		{up, []*driver.Page{page("", "2", "1")}, "order"},
		{down, []*driver.Page{page("n", "1"), page("", "2")}, "order"},
		{down, []*driver.Page{page("n", "1"), page("", "1")}, "order"},
		{up, []*driver.Page{page("", "")}, "order"},
		{&driver.Query{HashKey: "other"}, []*driver.Page{page("", "1")}, "another hash key"},
	} {
		var way Way
		for i, p := range test.pages {
			err := way.Check(test.query, p)
			if i < len(test.pages)-1 || test.wrong == "" {
				require.NoError(t, err)
				continue
			}
			require.ErrorContains(t, err, test.wrong)
		}
	}
}

func TestPromise14EmptyPagesInACircleAreNoticed(t *testing.T) {
	query := &driver.Query{HashKey: "h"}
	for _, before := range []int{0, 1, 50} {
		for _, circle := range []int{1, 2, 3, 7, 100} {
			var way Way
			require.NoError(t, way.Check(query, page("n", "1")))
			for i := range before {
				require.NoError(t, way.Check(query, page(fmt.Sprint("on the way ", i))))
			}
			n := 0
			for way.Check(query, page(fmt.Sprint("round ", n%circle))) == nil {
				n++
				require.Less(t, n, 4*(before+circle+1))
			}
		}
	}
}
