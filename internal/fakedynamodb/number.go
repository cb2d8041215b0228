package fakedynamodb

import (
	"math/big"
	"strconv"
	"strings"
)

// "Supported data types and naming rules in Amazon DynamoDB", Number: up to 38
// digits of precision, magnitudes from 1E-130 to 9.9999999999999999999999999999999999999E+125;
// leading and trailing zeroes are trimmed.
const (
	maxDigits   = 38
	maxExponent = 125
	minExponent = -130
)

// number is a decimal: (neg) d.ddd × 10^exp, the digits without leading or
// trailing zeroes; no digits is zero.
type number struct {
	neg    bool
	digits string
	exp    int
}

// parseNumber reads a number as it comes on the wire and refuses one that the
// service would refuse.
func parseNumber(text string) (number, *apiError) {
	var n number
	s := strings.TrimSpace(text)
	if s == "" {
		return n, invalid("The parameter cannot be converted to a numeric value")
	}
	bad := func() *apiError {
		return invalid("The parameter cannot be converted to a numeric value: %s", text)
	}
	switch s[0] {
	case '-':
		n.neg = true
		s = s[1:]
	case '+':
		s = s[1:]
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		e, err := strconv.Atoi(s[i+1:])
		if err != nil {
			return n, bad()
		}
		exponent = e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	if all == "" || strings.Trim(all, "0123456789") != "" {
		return n, bad()
	}
	exponent += len(whole) - 1
	trimmed := strings.TrimLeft(all, "0")
	exponent -= len(all) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	if trimmed == "" {
		return number{}, nil
	}
	n.digits, n.exp = trimmed, exponent
	return n, n.check()
}

// check holds a number against the limits of precision and magnitude.
func (n number) check() *apiError {
	switch {
	case n.digits == "":
		return nil
	case len(n.digits) > maxDigits:
		return invalid("Attempting to store more than 38 significant digits in a Number")
	case n.exp > maxExponent:
		return invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case n.exp < minExponent:
		return invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return nil
}

// text is the one way in which the number is answered: plain decimal digits.
func (n number) text() string {
	if n.digits == "" {
		return "0"
	}
	var b strings.Builder
	if n.neg {
		b.WriteByte('-')
	}
	point := n.exp + 1 // digits before the decimal point
	switch {
	case point <= 0:
		b.WriteString("0.")
		b.WriteString(strings.Repeat("0", -point))
		b.WriteString(n.digits)
	case point >= len(n.digits):
		b.WriteString(n.digits)
		b.WriteString(strings.Repeat("0", point-len(n.digits)))
	default:
		b.WriteString(n.digits[:point])
		b.WriteByte('.')
		b.WriteString(n.digits[point:])
	}
	return b.String()
}

// sortKey is a string whose byte order is the order of numbers, so that keys
// of every type compare the same way.
func (n number) sortKey() string {
	if n.digits == "" {
		return "1"
	}
	e := n.exp + 500
	b := make([]byte, 0, len(n.digits)+4)
	b = append(b, byte('0'+e/100), byte('0'+e/10%10), byte('0'+e%10))
	b = append(b, n.digits...)
	if !n.neg {
		return "2" + string(b)
	}
	for i := range b { // nines' complement; the end mark keeps -1.5 under -1
		b[i] = '9' - (b[i] - '0')
	}
	return "0" + string(b) + "~"
}

// size counts a number's bytes: "DynamoDB item sizes and formats" says about
// one byte for two significant digits and one more; the pairs are those of the
// number written to base 100, and a sign takes a byte.
func (n number) size() int {
	if n.digits == "" {
		return 1
	}
	pairs := (len(n.digits) + 1) / 2
	if len(n.digits)%2 == 0 && n.exp%2 == 0 {
		pairs++ // the first digit stands alone in its pair
	}
	if n.neg {
		pairs++
	}
	return pairs + 1
}

// add is n+m (or n-m), exact, then held against the limits.
func (n number) add(m number, subtract bool) (number, *apiError) {
	if subtract && m.digits != "" {
		m.neg = !m.neg
	}
	if n.digits == "" {
		return m, nil
	}
	if m.digits == "" {
		return n, nil
	}
	low := min(n.exp-len(n.digits)+1, m.exp-len(m.digits)+1)
	sum := n.scaled(low)
	sum.Add(sum, m.scaled(low))
	return parseNumber(sum.String() + "e" + strconv.Itoa(low))
}

// scaled is the number as a whole multiple of 10^low.
func (n number) scaled(low int) *big.Int {
	zeroes := n.exp - len(n.digits) + 1 - low
	i, _ := new(big.Int).SetString(n.digits+strings.Repeat("0", zeroes), 10)
	if n.neg {
		i.Neg(i)
	}
	return i
}

func numberValue(text string) (value, *apiError) {
	n, err := parseNumber(text)
	if err != nil {
		return value{}, err
	}
	return value{kind: "N", s: n.text(), num: n}, nil
}

func intValue(i int) value {
	v, _ := numberValue(strconv.Itoa(i))
	return v
}
