package deploy_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each function has a GOMEMLIMIT, which leaves some of its memory to what is not the
// heap's: Lambda ends a function that takes more, in the middle of its batch.
func TestPromise16EachFunctionKnowsItsMemory(t *testing.T) {
	for file, functions := range map[string]int{"sam/template.yaml": 2, "terraform/listener.tf": 1, "terraform/trigger.tf": 1} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		memories := regexp.MustCompile(`(?:memory_size|MemorySize)\s*[=:] (\d+)`).FindAllSubmatch(text, -1)
		limits := regexp.MustCompile(`GOMEMLIMIT\s*[=:] "?(\d+)MiB`).FindAllSubmatch(text, -1)
		require.Len(t, memories, functions, file) // in the template that of the listener is the common one
		require.Len(t, limits, functions, file)
		for i := range memories {
			memory, err := strconv.Atoi(string(memories[i][1]))
			require.NoError(t, err)
			limit, err := strconv.Atoi(string(limits[i][1]))
			require.NoError(t, err)
			require.Less(t, limit, memory-memory/10, file)
			require.Greater(t, limit, memory/2, file)
		}
	}
}
