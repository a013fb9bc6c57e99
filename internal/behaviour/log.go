package behaviour

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
)

// A logBook keeps what is logged, as lines of JSON.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines returns the lines of a level ("WARN", "" for all) that contain part.
func (l *logBook) lines(level, part string) (found []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && strings.Contains(line, part) && (level == "" || entry["level"] == level) {
			found = append(found, entry)
		}
	}
	return found
}
