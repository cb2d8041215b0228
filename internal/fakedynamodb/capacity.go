package fakedynamodb

// used is the capacity that a call took on one table.
type used struct {
	table   string
	units   float64
	indexes map[string]float64
}

// total adds up the table and its indexes.
func (u used) total() float64 {
	sum := u.units
	for _, name := range sortedKeys(u.indexes) {
		sum += u.indexes[name]
	}
	return sum
}

func (u *used) add(o used) {
	u.table = o.table
	u.units += o.units
	for name, n := range o.indexes {
		if u.indexes == nil {
			u.indexes = map[string]float64{}
		}
		u.indexes[name] += n
	}
}

// capacity is the ConsumedCapacity of an answer ("ConsumedCapacity", API
// reference): nil unless asked for, the total, or apart for table and indexes.
func (u used) capacity(mode string) (map[string]any, *apiError) {
	switch mode {
	case "", "NONE":
		return nil, nil
	case "TOTAL", "INDEXES":
	default:
		return nil, invalid("1 validation error detected: Value '%s' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]", mode)
	}
	out := map[string]any{"TableName": u.table, "CapacityUnits": u.total()}
	if mode == "INDEXES" {
		out["Table"] = map[string]any{"CapacityUnits": u.units}
		if len(u.indexes) > 0 {
			global := map[string]any{}
			for name, n := range u.indexes {
				global[name] = map[string]any{"CapacityUnits": n}
			}
			out["GlobalSecondaryIndexes"] = global
		}
	}
	return out, nil
}

// checkCapacityMode refuses a bad mode before anything is applied.
func checkCapacityMode(mode string) *apiError {
	_, err := used{}.capacity(mode)
	return err
}

// withCapacity adds the consumed capacity to an answer, if it was asked for.
func withCapacity(out map[string]any, u used, mode string) map[string]any {
	if c, _ := u.capacity(mode); c != nil {
		out["ConsumedCapacity"] = c
	}
	return out
}
