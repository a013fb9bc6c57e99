package record

import "errors"

// reserved is the key of the one value of a record that is the library's own.
// The program that has the session can neither see nor change it: it is in no
// list of keys, and outlives Clear. It goes with the record.
const reserved = "\x00session"

var errReserved = errors.New("the key is reserved for this library")

// Reserved returns the reserved value, nil if there is none.
func (c *Changes) Reserved() []byte {
	encoded := c.find(reserved)
	if len(encoded) == 0 || encoded[0] != kindBytes {
		return nil
	}
	return encoded[1:]
}

// retain puts kept, the encoded reserved value, back after all values were removed.
// It is nil if there is none.
func (c *Changes) retain(kept []byte) {
	if kept == nil {
		return
	}
	c.size, c.count = entrySize(reserved, kept), 1
	if string(kept) == string(c.base.Find(reserved)) {
		c.drop(reserved)
	} else {
		c.put(change{reserved, kept})
	}
}

// SetReserved stores the reserved value. The error is that of Set.
func (c *Changes) SetReserved(value []byte) error {
	return c.set(reserved, value, Text{}, true)
}
