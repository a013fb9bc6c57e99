package clusters

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chisession/session/internal/testserver"
)

// A line is what all runs of one failure on one deployment came to.
type line struct {
	scene, failure, replicas string
	runs                     int
	backends                 []string
	sum                      toll
	back                     []time.Duration
}

var table struct {
	sync.Mutex
	lines []*line
}

// record adds a run to the table.
func record(scene, failure, backend, replicas string, got toll) {
	table.Lock()
	defer table.Unlock()
	i := slices.IndexFunc(table.lines, func(l *line) bool {
		return l.scene == scene && l.failure == failure && l.replicas == replicas
	})
	if i < 0 {
		i = len(table.lines)
		table.lines = append(table.lines, &line{scene: scene, failure: failure, replicas: replicas})
	}
	l := table.lines[i]
	l.runs++
	if !slices.Contains(l.backends, backend) {
		l.backends = append(l.backends, backend)
	}
	l.sum.logins += got.logins
	l.sum.logouts += got.logouts
	l.sum.lost += got.lost
	l.sum.reverted += got.reverted
	l.sum.undone += got.undone
	l.sum.outsideIndex += got.outsideIndex
	l.sum.unconfirmed += got.unconfirmed
	l.sum.refused += got.refused
	l.sum.returning += got.returning
	l.sum.slowest = max(l.sum.slowest, got.slowest)
	l.back = append(l.back, got.back)
}

const tableHead = `# What failovers undid

Written by ` + "`make clusters`" + `, from what was counted: real servers under load, and what is left of all that was acknowledged.
"Refused without a replica" is a 503 to a login or logout that no replica had, as while the only replica of a shard is
promoted. "Back" is the time from the failure to the last call that failed for another reason while the machine was away, of which a Sentinel or a node waits %v
before it believes that the other is gone.

| deployment | what failed | Replicas | runs | by | logouts undone | sessions lost | renewals reverted | live sessions outside their index | refused without a replica | other failures, and of those when the machine came back | back: median, longest | slowest call |
|---|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|
`

// writeTable prints the table, and writes it if CLUSTERS_TABLE says where.
func writeTable() error {
	if len(table.lines) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, tableHead, testserver.Soon)
	for _, l := range table.lines {
		slices.Sort(l.back)
		slices.Sort(l.backends)
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %d of %d | %d of %d | %d | %d | %d | %d, %d | %.1f s, %.1f s | %.1f s |\n",
			l.scene, l.failure, l.replicas, l.runs, strings.Join(l.backends, ", "), l.sum.undone, l.sum.logouts, l.sum.lost, l.sum.logins,
			l.sum.reverted, l.sum.outsideIndex, l.sum.unconfirmed, l.sum.refused, l.sum.returning, l.back[len(l.back)/2].Seconds(), l.back[len(l.back)-1].Seconds(), l.sum.slowest.Seconds())
	}
	fmt.Print(b.String())
	if path := os.Getenv("CLUSTERS_TABLE"); path != "" {
		return os.WriteFile(path, []byte(b.String()), 0o644)
	}
	return nil
}
