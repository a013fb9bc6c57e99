package mysql

import (
	"context"
	"fmt"
)

// Durability implements [backend.Durable]: what becomes of a login or a logout
// that was acknowledged, when a server fails, as the settings were when the Store
// was made.
func (s *Store) Durability() string { return s.durability }

// ask finds out what Durability says. What the account may not see is taken for
// the server's default.
func (s *Store) ask(ctx context.Context) string {
	set := map[string]string{}
	for _, query := range []string{
		"SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'wsrep_on', 'rpl_semi_sync_master_enabled', 'rpl_semi_sync_source_enabled')",
		"SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'",
	} {
		rows, err := s.db.QueryContext(ctx, query)
		if err != nil {
			continue
		}
		for rows.Next() {
			var name, value string
			if rows.Scan(&name, &value) == nil {
				set[name] = value
			}
		}
		_ = rows.Close() // what is missing is missing
	}
	return durability(set)
}

// durability says it in a sentence.
func durability(set map[string]string) string {
	crash := "a crash undoes nothing"
	if flush := set["innodb_flush_log_at_trx_commit"]; flush == "0" || flush == "2" {
		crash = fmt.Sprintf("a crash of the machine undoes the logins and logouts of the last second (innodb_flush_log_at_trx_commit %s)", flush)
	}
	switch {
	case set["wsrep_on"] == "ON" && set["wsrep_cluster_size"] == "2":
		return "Galera, 2 nodes: an acknowledged login or logout is on both, and if one dies the other serves nobody (a third, or an arbitrator, prevents that); " + crash
	case set["wsrep_on"] == "ON":
		return fmt.Sprintf("Galera, %s nodes: an acknowledged login or logout is on all of them, and survives the loss of any; %s", set["wsrep_cluster_size"], crash)
	case set["rpl_semi_sync_master_enabled"] == "ON", set["rpl_semi_sync_source_enabled"] == "ON":
		return "semi-synchronous: a failover undoes nothing, unless no replica answered in time and the server went on without; " + crash
	}
	return crash + "; a failover to an asynchronous replica, if there is one, undoes the logins and logouts that it had not received"
}
