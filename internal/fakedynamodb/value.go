package fakedynamodb

import (
	"slices"
	"strings"
)

// value is one attribute value, checked and in canonical form: numbers have
// one spelling, sets are sorted, so that equal values are equal bytes.
type value struct {
	kind string // S N B BOOL NULL SS NS BS L M
	s    string // S: text; B: bytes; N: canonical digits
	num  number
	b    bool
	set  []value // SS NS BS: members of kind S, N or B
	list []value
	m    item
}

// item is an item, or the inside of a map.
type item map[string]value

// wireValue is an attribute value as it stands in a request.
type wireValue struct {
	S    *string
	N    *string
	B    []byte
	BOOL *bool
	NULL *bool
	SS   []string
	NS   []string
	BS   [][]byte
	L    []*wireValue
	M    map[string]*wireValue
}

const (
	msgEmptyValue = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
	msgManyTypes  = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
)

// "Quotas in Amazon DynamoDB", item attributes: up to 32 levels deep.
const maxDepth = 32

// kinds counts the types that a wire value names; the service wants one.
func (w *wireValue) kinds() (kind string, count int) {
	is := func(set bool, of string) {
		if set {
			kind = of
			count++
		}
	}
	is(w.S != nil, "S")
	is(w.N != nil, "N")
	is(w.B != nil, "B")
	is(w.BOOL != nil, "BOOL")
	is(w.NULL != nil, "NULL")
	is(w.SS != nil, "SS")
	is(w.NS != nil, "NS")
	is(w.BS != nil, "BS")
	is(w.L != nil, "L")
	is(w.M != nil, "M")
	return kind, count
}

// check turns a wire value into a value, or says what is wrong with it
// ("Supported data types and naming rules in Amazon DynamoDB"; AttributeValue
// in the API reference). A type that the service does not know is no type.
func (w *wireValue) check(depth int) (value, *apiError) {
	if w == nil {
		return value{}, invalid(msgEmptyValue)
	}
	kind, count := w.kinds()
	if count == 0 {
		return value{}, invalid(msgEmptyValue)
	}
	if count > 1 {
		return value{}, invalid(msgManyTypes)
	}
	if depth >= maxDepth {
		return value{}, invalid("Nesting Levels have exceeded supported limits")
	}
	v := value{kind: kind}
	switch kind {
	case "S":
		v.s = *w.S
	case "B":
		v.s = string(w.B)
	case "N":
		return numberValue(*w.N)
	case "BOOL":
		v.b = *w.BOOL
	case "NULL":
		if !*w.NULL {
			return v, invalidParameter("Null attribute value types must have the value of true")
		}
	case "SS", "NS", "BS":
		return w.checkSet(kind)
	default:
		return w.checkDocument(v, depth+1)
	}
	return v, nil
}

func (w *wireValue) checkDocument(v value, depth int) (value, *apiError) {
	if v.kind == "M" {
		inner, err := checkItem(w.M, depth)
		v.m = inner
		return v, err
	}
	v.list = make([]value, len(w.L))
	for i, e := range w.L {
		inner, err := e.check(depth)
		if err != nil {
			return v, err
		}
		v.list[i] = inner
	}
	return v, nil
}

// checkItem checks all attributes in the order of their names, so that of two
// errors the same one is always answered.
func checkItem(w map[string]*wireValue, depth int) (item, *apiError) {
	out := make(item, len(w))
	for _, name := range sortedKeys(w) {
		v, err := w[name].check(depth)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

// checkSet: a set is not empty and holds no member twice.
func (w *wireValue) checkSet(kind string) (value, *apiError) {
	v := value{kind: kind}
	var shown []string
	switch kind {
	case "SS":
		for _, s := range w.SS {
			v.set = append(v.set, value{kind: "S", s: s})
			shown = append(shown, s)
		}
	case "BS":
		for _, s := range w.BS {
			v.set = append(v.set, value{kind: "B", s: string(s)})
			shown = append(shown, string(s))
		}
	case "NS":
		for _, s := range w.NS {
			n, err := numberValue(s)
			if err != nil {
				return v, err
			}
			v.set = append(v.set, n)
			shown = append(shown, n.s)
		}
	}
	if len(v.set) == 0 {
		return v, invalidParameter("%s", map[string]string{
			"SS": "An string set  may not be empty", "NS": "An number set  may not be empty", "BS": "Binary sets should not be empty",
		}[kind])
	}
	slices.SortFunc(v.set, compareValues)
	for i := 1; i < len(v.set); i++ {
		if v.set[i].s == v.set[i-1].s {
			if kind == "NS" || kind == "BS" {
				return v, invalidParameter("Input collection contains duplicates")
			}
			return v, invalidParameter("Input collection [%s] contains duplicates.", strings.Join(shown, ", "))
		}
	}
	return v, nil
}

// sortKey is the value as a key: strings and binary by their bytes, numbers by
// their value ("Querying tables in DynamoDB").
func (v value) sortKey() string {
	if v.kind == "N" {
		return v.num.sortKey()
	}
	return v.s
}

// compareValues orders two scalars of one kind.
func compareValues(a, b value) int { return strings.Compare(a.sortKey(), b.sortKey()) }

// equal: same type, same content; maps and lists compare deeply.
func (v value) equal(o value) bool {
	if v.kind != o.kind {
		return false
	}
	switch v.kind {
	case "BOOL":
		return v.b == o.b
	case "NULL":
		return true
	case "SS", "NS", "BS":
		return slices.EqualFunc(v.set, o.set, value.equal)
	case "L":
		return slices.EqualFunc(v.list, o.list, value.equal)
	case "M":
		return v.m.equal(o.m)
	default:
		return v.s == o.s
	}
}

func (it item) equal(o item) bool {
	if len(it) != len(o) {
		return false
	}
	for name, v := range it {
		if w, ok := o[name]; !ok || !v.equal(w) {
			return false
		}
	}
	return true
}
