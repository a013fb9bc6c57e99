// Package clusters runs sessions on what people run when one server is not enough,
// the real thing, from Debian's packages: a Redis Cluster of three primaries and
// three replicas, a Redis primary with two replicas and three Sentinels, three
// nodes of Galera. Each node is a process of the test's own, on loopback or, where a
// cut needs cables, in network namespaces.
//
// A plain run has the conformance suite and one failover of each kind, on the three
// deployments side by side. With
// CLUSTERS=20 (make clusters) there are twenty of each, and docs/evidence/clusters.md is written
// from what was counted.
package clusters
