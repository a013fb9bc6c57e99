package mysql

import (
	"strings"
	"testing"
)

func TestDurability(t *testing.T) {
	galera := func(size string) map[string]string {
		return map[string]string{"wsrep_on": "ON", "wsrep_cluster_size": size, "innodb_flush_log_at_trx_commit": "2"}
	}
	for want, set := range map[string]map[string]string{
		"3 nodes: an acknowledged":  galera("3"),
		"the other serves nobody":   galera("2"),
		"of the last second":        galera("3"),
		"a crash undoes nothing; a": {"wsrep_on": "OFF"},
		"semi-synchronous":          {"rpl_semi_sync_master_enabled": "ON"},
	} {
		if got := durability(set); !strings.Contains(got, want) {
			t.Errorf("durability(%v): %q, want it to say %q", set, got, want)
		}
	}
}
