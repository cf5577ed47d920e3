package tiles

import (
	"slices"
	"sync"
)

// classes numbers the values of the class column.
type classes struct {
	mu     sync.Mutex
	index  map[string]int32
	values [][]byte
}

// maxCovered is how many classes are told apart; the others count as one.
const maxCovered = 4096

func (c *classes) of(value []byte) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := string(value)
	if value == nil {
		key = noClass
	}
	if n, ok := c.index[key]; ok {
		return n
	}
	if len(c.values) >= maxCovered {
		return maxCovered - 1
	}
	n := int32(len(c.values))
	c.index[key] = n
	c.values = append(c.values, slices.Clone(value))
	return n
}

// noClass stands for NULL, which is another class than the empty text. PostgreSQL
// has no text with a NUL.
const noClass = "\x00"

func (c *classes) all() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[:len(c.values):len(c.values)]
}
