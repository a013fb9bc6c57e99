package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// memoryEach is what must be free for each session: what it takes, twice, as
// the heap doubles before it is collected.
const memoryEach = 2 * 300

// leftOut tells why n sessions cannot be measured, "" if they can.
func leftOut(n int, left time.Duration) string {
	if left <= 0 {
		return "the time was over"
	}
	free, known := memoryAvailable()
	if need := uint64(n) * memoryEach; known && free < need {
		return fmt.Sprintf("the machine had %s MB free, they want %s", thousands(int(free>>20)), thousands(int(need>>20)))
	}
	return ""
}

// memoryAvailable returns how much memory programs can still have, if the
// system tells.
func memoryAvailable() (bytes uint64, known bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if value, found := strings.CutPrefix(line, "MemAvailable:"); found {
			kb, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kb << 10, err == nil
		}
	}
	return 0, false
}
