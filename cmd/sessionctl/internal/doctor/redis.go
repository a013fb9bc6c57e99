package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// Redis returns the checks of a Redis. now is this host's clock.
func Redis(p *place.Place, now func() time.Time) []Check {
	f := redisFacts{
		info:   section(redigo.String(p.Ask("INFO"))),
		config: setting(p, "maxmemory-policy", "maxmemory", "save", "appendonly", "appendfsync"),
	}
	checks := []Check{
		known("version", f.version()),
		known("role", f.role(p.Cluster())),
		known("eviction", f.eviction()),
		known("memory", f.memory()),
		known("persistence", f.persistence()),
		clock(now, func(context.Context) (time.Time, error) { return redisTime(p) }),
		{"permissions", func(context.Context) Result { return redisPermissions(p) }},
		known("encryption", judgeTLS(p.Target.AsksTLS(), p.Target.Local(), "use a rediss:// URL")),
		{"failover", func(context.Context) Result { return redisFailover(p) }},
	}
	if p.Cluster() {
		checks = append(checks, Check{"cluster", func(context.Context) Result { return redisCluster(p) }})
	}
	if p.HasSentinels() {
		checks = append(checks, Check{"sentinels", func(ctx context.Context) Result { return redisSentinels(ctx, p) }})
	}
	return checks
}

// redisFacts are what a Redis says of itself; maps that are empty were not
// allowed to be read.
type redisFacts struct{ info, config map[string]string }

// section reads the reply to INFO.
func section(text string, err error) map[string]string {
	facts := map[string]string{}
	if err != nil {
		return facts
	}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[key] = value
		}
	}
	return facts
}

// setting asks for each setting alone: a server of a cloud may hide some.
func setting(p *place.Place, names ...string) map[string]string {
	facts := map[string]string{}
	for _, name := range names {
		if got, err := redigo.StringMap(p.Ask("CONFIG", "GET", name)); err == nil {
			if value, ok := got[name]; ok {
				facts[name] = value
			}
		}
	}
	return facts
}

func (f redisFacts) version() Result {
	if valkey := f.info["valkey_version"]; valkey != "" {
		return judgeVersion("Valkey", valkey, 7, 2)
	}
	version := f.info["redis_version"]
	if version == "" {
		return warn("allow the account INFO: ACL SETUSER … +info", "the version is unknown: the account may not run INFO")
	}
	return judgeVersion("Redis", version, 7, 0)
}

func (f redisFacts) role(cluster bool) Result {
	switch {
	case f.info["role"] == "slave":
		return fail("point the save path at the primary", "this server is a replica: it refuses every write")
	case f.info["cluster_enabled"] == "1" && !cluster:
		return fail("use the provider goredis or rueidis, and redis+cluster://host1,host2,host3", "this server is part of a cluster, whose redirections the driver does not follow")
	case f.info["loading"] == "1":
		return fail("wait until it has", "the server is still loading its data, and answers nothing else")
	}
	if cluster {
		return ok("node of a cluster")
	}
	return ok("primary")
}

const evictionCure = "CONFIG SET maxmemory-policy noeviction (and maxmemory-policy noeviction in redis.conf), with an alarm on memory; " +
	"do not share a cache's server"

func (f redisFacts) eviction() Result {
	policy := f.config["maxmemory-policy"]
	if policy == "" {
		policy = f.info["maxmemory_policy"]
	}
	evicted, _ := strconv.Atoi(f.info["evicted_keys"]) // absent is none
	switch {
	case policy == "":
		return warn("ask the operator for CONFIG GET maxmemory-policy: it must be noeviction", "the eviction policy is unknown: the account may run neither CONFIG GET nor INFO")
	case policy != "noeviction" && f.limit() == 0:
		return fail(evictionCure, "maxmemory-policy is %s: from the day that a maxmemory is set (there is none now), a full server logs users out and forgets which sessions a user has", policy)
	case policy != "noeviction":
		return fail(evictionCure, "maxmemory-policy is %s: a full server logs users out and forgets which sessions a user has (%d keys evicted so far)", policy, evicted)
	}
	return ok("maxmemory-policy is noeviction")
}

func (f redisFacts) limit() int64 {
	text := f.config["maxmemory"]
	if text == "" {
		text = f.info["maxmemory"]
	}
	n, _ := strconv.ParseInt(text, 10, 64) // absent is no limit
	return n
}

func (f redisFacts) memory() Result {
	used, err := strconv.ParseInt(f.info["used_memory"], 10, 64)
	limit := f.limit()
	switch {
	case err != nil:
		return warn("allow the account INFO", "the memory in use is unknown: the account may not run INFO")
	case limit == 0:
		return ok("%s used, no maxmemory", Bytes(used))
	case used > limit-limit/10:
		return fail("raise maxmemory, or find what else is on this server", "%s of %s used: soon new sessions and changes are refused", Bytes(used), Bytes(limit))
	}
	return ok("%s of %s used", Bytes(used), Bytes(limit))
}

const persistenceCure = "appendonly yes and appendfsync everysec (or always, for which a power cut costs nothing)"

func (f redisFacts) persistence() Result {
	save, known := f.config["save"]
	aof := f.info["aof_enabled"] == "1" || f.config["appendonly"] == "yes"
	switch {
	case f.info["aof_last_write_status"] == "err":
		return fail("look into the server's log: the disk is full or broken", "the last write to the append-only file failed")
	case f.info["rdb_last_bgsave_status"] == "err" && save != "":
		return fail("look into the server's log: the disk is full or broken", "the last snapshot failed: the server refuses writes until one succeeds")
	case aof && f.config["appendfsync"] != "":
		return ok("append-only file, appendfsync %s", f.config["appendfsync"])
	case aof:
		return ok("append-only file")
	case len(f.info) == 0 && !known:
		return warn("ask the operator: "+persistenceCure, "unknown: the account may run neither CONFIG GET nor INFO")
	case known && save == "":
		return warn(persistenceCure, "neither append-only file nor snapshots: a restart of the server logs everybody out")
	case known:
		return warn(persistenceCure, "snapshots alone (save %s): a crash loses the logins since the last one", save)
	}
	return warn(persistenceCure, "no append-only file: a crash loses at least the logins since the last snapshot, if there are any")
}

func redisTime(p *place.Place) (time.Time, error) {
	parts, err := redigo.Int64s(p.Ask("TIME"))
	if err != nil {
		return time.Time{}, err
	}
	if len(parts) != 2 {
		return time.Time{}, errors.New("TIME did not answer with seconds and microseconds")
	}
	return time.Unix(parts[0], parts[1]*1000), nil
}

// redisCommands are what the backend sends, in a form that does nothing to a
// key that is not there.
var redisCommands = [][]any{
	{"GET"}, {"SET", "", "XX", "PX", "1"}, {"DEL"}, {"GETRANGE", 0, 0}, {"SETRANGE", 0, ""}, {"PEXPIREAT", 1}, {"PEXPIRETIME"},
	{"ZADD", "XX", "0", ""}, {"ZSCORE", ""}, {"ZRANGE", 0, 0}, {"ZREM", ""}, {"ZREMRANGEBYSCORE", 0, 0},
}

// redisPermissions tries every command that the backend sends.
func redisPermissions(p *place.Place) Result {
	key := p.Target.Prefix() + uuid.NewString()
	var missing []string
	try := func(name string, args ...any) error {
		_, err := p.Ask(name, args...)
		var refusal redigo.Error
		if !errors.As(err, &refusal) || strings.HasPrefix(string(refusal), "NOSCRIPT") {
			if refusal == "" && err != nil {
				return err
			}
			return nil
		}
		if strings.HasPrefix(string(refusal), "NOPERM") || strings.HasPrefix(string(refusal), "ERR unknown command") {
			missing = append(missing, strings.ToLower(name))
			return nil
		}
		return err
	}
	errs := []error{
		try("PING"), try("TIME"),
		try("EVAL", "return 1", 1, key), try("EVALSHA", strings.Repeat("0", 40), 1, key),
	}
	if p.Target.Replicas() > 0 {
		errs = append(errs, try("WAIT", 0, 0))
	}
	if p.Cluster() {
		errs = append(errs, try("ASKING"))
	}
	for _, command := range redisCommands {
		errs = append(errs, try(command[0].(string), slices.Concat([]any{key}, command[1:])...))
	}
	switch {
	case len(missing) > 0:
		return fail(fmt.Sprintf("ACL SETUSER <user> ~%s* +%s", p.Target.Prefix(), strings.Join(missing, " +")),
			"the account may not run: %s (on keys %s*)", strings.Join(missing, ", "), p.Target.Prefix())
	case errors.Join(errs...) != nil:
		return fail("look into the server's log", "the server refuses: %v", errs[slices.IndexFunc(errs, func(err error) bool { return err != nil })])
	}
	return ok("the account may run all commands that sessions need")
}

// Bytes prints a size as people read it.
func Bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for ; f >= unit && i < 4; i++ {
		f /= unit
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}
