package main

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestNumberedID(t *testing.T) {
	seen := map[uuid.UUID]int{}
	for i := range 10_000 {
		id := numberedID(i)
		if other, ok := seen[id]; ok {
			t.Fatalf("numberedID(%d) and (%d) are %v", i, other, id)
		}
		seen[id] = i
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("numberedID(%d) = %v, which is no UUIDv7", i, id)
		}
		if age := time.Since(time.Unix(id.Time().UnixTime())); age < 30*time.Minute || age > 2*time.Hour {
			t.Fatalf("numberedID(%d) = %v, which is %v old", i, id, age)
		}
	}
}
