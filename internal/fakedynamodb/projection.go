package fakedynamodb

import (
	"encoding/json"
	"slices"
)

// projection is a parsed ProjectionExpression; nil is the whole item.
type projection []path

// parseProjection reads paths with commas between ("Using projection
// expressions in DynamoDB").
func parseProjection(text *string, names *aliases) (projection, *apiError) {
	if text == nil {
		return nil, nil
	}
	p, err := newParser("ProjectionExpression", *text, names)
	if err != nil {
		return nil, err
	}
	var out projection
	for {
		if k := p.peek().kind; k != 'i' && k != '#' {
			return nil, p.unexpected()
		}
		one, err := p.path()
		if err != nil {
			return nil, err
		}
		for _, other := range out {
			if overlap(one, other) {
				return nil, p.invalid("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", other, one)
			}
		}
		out = append(out, one)
		if !p.accept(",") {
			break
		}
	}
	if p.peek().kind != 0 {
		return nil, p.unexpected()
	}
	return out, nil
}

// overlap: one path is the other or leads to it.
func overlap(a, b path) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

// json is what is left of a row.
func (p projection) json(r *row) json.RawMessage {
	if p == nil {
		return r.json()
	}
	return rawItem(p.apply(r.item))
}

// apply cuts an item down. Paths into maps and lists keep their place: a.b
// comes back as {a: {b: …}}, and chosen elements of a list close ranks.
func (p projection) apply(it item) item {
	if p == nil {
		return it
	}
	out := item{}
	for name, v := range it {
		if kept, ok := p.choose(v, name); ok {
			out[name] = kept
		}
	}
	return out
}

func (p projection) choose(v value, name string) (value, bool) {
	var inner projection
	for _, one := range p {
		if one[0].name != name || one[0].index >= 0 {
			continue
		}
		if len(one) == 1 {
			return v, true
		}
		inner = append(inner, one[1:])
	}
	return inner.within(v)
}

func (p projection) within(v value) (value, bool) {
	switch {
	case p == nil:
		return v, false
	case v.kind == "M":
		m := p.apply(v.m)
		return value{kind: "M", m: m}, len(m) > 0
	case v.kind != "L":
		return v, false
	}
	out := value{kind: "L"}
	for i, e := range v.list {
		var inner projection
		whole := false
		for _, one := range p {
			if one[0].index != i || one[0].name != "" {
				continue
			}
			if len(one) == 1 {
				whole = true
			} else {
				inner = append(inner, one[1:])
			}
		}
		if whole {
			out.list = append(out.list, e)
		} else if kept, ok := inner.within(e); ok {
			out.list = append(out.list, kept)
		}
	}
	return out, len(out.list) > 0
}
