package redisengine

import (
	"strings"
	"testing"
)

func TestSurvey(t *testing.T) {
	aof := map[string]string{"aof_enabled": "1"}
	none := map[string]string{"aof_enabled": "0"}
	primary := func(replicas string) map[string]string {
		return map[string]string{"role": "master", "connected_slaves": replicas}
	}
	for want, got := range map[string]string{
		"once 1 of the replicas":            survey{replication: primary("2")}.failover(1, false),
		"refused now, as 0":                 survey{replication: primary("0")}.failover(1, false),
		"every write is acknowledged":       survey{}.failover(1, true),
		"one server without a replica":      survey{replication: primary("0")}.failover(0, false),
		"2 replicas, asynchronous":          survey{replication: primary("2")}.failover(0, false),
		"asynchronous, if there are":        survey{}.failover(0, false),
		"undoes nothing":                    survey{persistence: aof, appendfsync: "always"}.crash(),
		"last second or two":                survey{persistence: aof, appendfsync: "everysec"}.crash(),
		"the system had not written":        survey{persistence: aof, appendfsync: "no"}.crash(),
		"logged everybody out":              survey{persistence: none, saveKnown: true}.crash(),
		"since the last snapshot":           survey{persistence: none, saveKnown: true, save: "3600 1"}.crash(),
		"is not known":                      survey{}.crash(),
		"no append-only file: a crash undo": survey{persistence: none}.crash(),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want it to say %q", got, want)
		}
	}
}
