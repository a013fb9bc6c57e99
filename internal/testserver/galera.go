package testserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// SuspectAfter is after how long the nodes of a [Galera] go on without one that is
// silent (evs.suspect_timeout).
const SuspectAfter = 1500 * time.Millisecond

const galeraCure = "apt-get install galera-4 rsync (Debian, Ubuntu)"

// galeraLibraries is where the provider may be.
var galeraLibraries = []string{"/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so", "/usr/local/lib/libgalera_smm.so"}

// A Galera is a Galera cluster of MariaDB servers.
type Galera struct {
	Nodes []*MariaDB
}

// StartGalera starts a cluster of n nodes, node i on host i; without hosts all run
// on this machine.
func StartGalera(n int, hosts []Host) (*Galera, error) {
	server, err := Find(mariaDBCure, "mariadbd", "mysqld")
	if err != nil {
		return nil, err
	}
	install, err := Find(mariaDBCure, "mariadb-install-db", "mysql_install_db")
	if err != nil {
		return nil, err
	}
	library := ""
	for _, path := range galeraLibraries {
		if _, err := os.Stat(path); err == nil {
			library = path
		}
	}
	if library == "" {
		return nil, fmt.Errorf("testserver: there is no libgalera_smm.so: %s", galeraCure)
	}
	as, err := accountOf("mysql", "nobody") // root's rsync gives away what it gets
	if err != nil {
		return nil, err
	}
	g, seed := &Galera{}, ""
	ports := make([][4]int, n) // of clients, the group, IST and SST
	var group []string
	for i := range ports {
		for j := range ports[i] {
			if ports[i][j], err = FreePort(); err != nil {
				return nil, err
			}
		}
		group = append(group, net.JoinHostPort(hostOf(hosts, i).IP(), strconv.Itoa(ports[i][1])))
	}
	for i := range n {
		host := hostOf(hosts, i)
		args := galeraArgs(library, "gcomm://"+strings.Join(group, ","), i, host.IP(), ports[i], cmp.Or(as.uid, os.Geteuid()))
		if i == 0 {
			args = append(args, "--wsrep-new-cluster")
		}
		opts := MariaDBOptions{Args: args, host: host, port: ports[i][0], as: as, data: seed}
		m, err := startNode(server, install, opts)
		if err != nil {
			return nil, errors.Join(err, g.Stop())
		}
		g.Nodes = append(g.Nodes, m)
		if i > 0 {
			continue
		}
		// The others begin with a copy of its data, as from a backup, and get
		// only what is missing: that takes no rsync.
		if seed, err = g.seed(); err != nil {
			return nil, errors.Join(err, g.Stop())
		}
	}
	if err := os.RemoveAll(filepath.Dir(seed)); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	// It was new once: when it starts again, it joins the others.
	first := &g.Nodes[0].Process.spec
	first.Args = first.Args[:len(first.Args)-1]
	if err := g.Settle(); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

// startNode starts a node. One that joins may give up, as wsrep_sst_rsync does at times
// on a busy machine, and is started again, as systemd would.
func startNode(server, install string, opts MariaDBOptions) (m *MariaDB, err error) {
	for range 3 {
		dir, tempErr := TempDir("galera")
		if tempErr != nil {
			return nil, errors.Join(err, tempErr)
		}
		var startErr error
		if m, startErr = startMariaDB(server, install, dir, opts); startErr == nil {
			return m, nil
		}
		err = errors.Join(err, startErr, os.RemoveAll(dir))
		if opts.data == "" {
			break
		}
	}
	return nil, err
}

// seed stops the first node, copies its data and starts it again.
func (g *Galera) seed() (string, error) {
	first := g.Nodes[0]
	if err := first.Halt(); err != nil {
		return "", err
	}
	dir, err := TempDir("galera-seed")
	if err != nil {
		return "", err
	}
	seed := filepath.Join(dir, "data")
	err = os.CopyFS(seed, os.DirFS(filepath.Join(first.Dir(), "data")))
	for _, own := range []string{"galera.cache", "gvwstate.dat"} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(seed, own)))
	}
	return seed, errors.Join(err, first.Restart())
}

func galeraArgs(library, cluster string, i int, ip string, ports [4]int, uid int) []string {
	options := []string{
		fmt.Sprintf("gmcast.listen_addr=tcp://%s:%d", ip, ports[1]),
		fmt.Sprintf("ist.recv_addr=%s:%d", ip, ports[2]),
		fmt.Sprintf("evs.suspect_timeout=PT%.1fS", SuspectAfter.Seconds()),
		"evs.inactive_timeout=PT3S", "evs.install_timeout=PT3S", "evs.inactive_check_period=PT0.25S", "evs.keepalive_period=PT0.5S",
		"gcache.size=64M",
	}
	return []string{
		"--wsrep-on=ON",
		"--wsrep-provider=" + library,
		"--wsrep-cluster-address=" + cluster,
		"--wsrep-cluster-name=test",
		"--wsrep-node-name=node" + strconv.Itoa(i),
		"--wsrep-node-address=" + net.JoinHostPort(ip, strconv.Itoa(ports[1])),
		"--wsrep-provider-options=" + strings.Join(options, ";"),
		"--wsrep-sst-method=rsync",
		"--wsrep-sst-receive-address=" + net.JoinHostPort(ip, strconv.Itoa(ports[3])),
		"--wsrep-slave-threads=2",
		"--user=" + strconv.Itoa(uid),
		"--binlog-format=ROW",
		"--innodb-autoinc-lock-mode=2",
		"--innodb-flush-log-at-trx-commit=2", // as Galera's documentation has it: the other nodes have it
	}
}

// Settle waits until every node is a synced member of the whole cluster.
func (g *Galera) Settle() error {
	return wait("the Galera nodes to be in sync", func() error {
		for i, m := range g.Nodes {
			status, err := m.wsrep()
			if err != nil {
				return err
			}
			if status["wsrep_cluster_size"] != strconv.Itoa(len(g.Nodes)) || status["wsrep_local_state_comment"] != "Synced" ||
				status["wsrep_cluster_status"] != "Primary" || status["wsrep_ready"] != "ON" {
				return fmt.Errorf("node %d is %s, of %s nodes, %s", i, status["wsrep_local_state_comment"], status["wsrep_cluster_size"], status["wsrep_cluster_status"])
			}
		}
		return nil
	})
}

// CreateDatabase makes a database that every node has: the others make it a moment
// after the first.
func (g *Galera) CreateDatabase() (string, error) {
	name, err := g.Nodes[0].CreateDatabase()
	if err != nil {
		return name, err
	}
	return name, wait("every Galera node to have the database", func() error {
		for _, m := range g.Nodes {
			if err := m.Exec("SHOW CREATE DATABASE `" + name + "`"); err != nil {
				return err
			}
		}
		return nil
	})
}

// wsrep reads what a node says of its cluster.
func (m *MariaDB) wsrep() (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	rows, err := m.admin.QueryContext(ctx, "SHOW GLOBAL STATUS LIKE 'wsrep%'")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err has what it could say
	status := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		status[name] = value
	}
	return status, rows.Err()
}

var recovered = regexp.MustCompile(`Recovered position: ([0-9a-f-]+:-?[0-9]+)`)

// RestartNode starts a node again that was killed, as its systemd unit does: with
// the position that its data have, so that it asks the others for what it missed
// and not for all.
func (g *Galera) RestartNode(i int) error {
	p := g.Nodes[i].Process
	recover := exec.Command(p.spec.Path, append(p.spec.Args[:len(p.spec.Args):len(p.spec.Args)], "--wsrep-recover",
		"--log-error="+filepath.Join(p.spec.Dir, "recover.log"))...)
	p.spec.as.apply(recover)
	out, _ := recover.CombinedOutput() // the log says what became of it
	log, err := os.ReadFile(filepath.Join(p.spec.Dir, "recover.log"))
	if err != nil {
		return fmt.Errorf("testserver: find a Galera node's position: %w: %s", err, out)
	}
	all := p.spec.Args
	if found := recovered.FindAllSubmatch(log, -1); found != nil {
		p.spec.Args = append(all[:len(all):len(all)], "--wsrep-start-position="+string(found[len(found)-1][1]))
	}
	err = p.Restart()
	p.spec.Args = all
	return err
}

// DSN returns the data source name of a database with all nodes as hosts, in this
// order of nodes; nil is 0, 1, 2.
func (g *Galera) DSN(db string, order []int, params ...string) string {
	var addrs []string
	for i := range g.Nodes {
		if order != nil {
			i = order[i]
		}
		addrs = append(addrs, g.Nodes[i].Addr())
	}
	return strings.Replace(g.Nodes[0].DSN(db, params...), g.Nodes[0].Addr(), strings.Join(addrs, ","), 1)
}

// Stop stops all nodes.
func (g *Galera) Stop() error {
	var errs []error
	for _, m := range g.Nodes {
		errs = append(errs, m.admin.Close())
		// Politely each waits for the others; there is nothing to keep.
		if err := m.Kill9(); err != nil && !errors.Is(err, ErrNotRunning) {
			errs = append(errs, err)
		}
		errs = append(errs, m.Process.Stop())
	}
	return errors.Join(errs...)
}
