package main

// backendFaults are about the stores of this process.
var backendFaults = []fault{
	{
		what: `memory: no compare-and-swap`,
		file: "backend/memory/memory.go",
		old: `case old.version != version:
		return backend.ErrConflict
	}
	r.version = version + 1`,
		new: `case old.version == 0:
		return backend.ErrConflict
	}
	r.version = old.version + 1`,
		pkg: "./backend/memory", test: `TestConformance/UpdateVersions`,
	},
	{
		what: `memory: an update is an upsert`,
		file: "backend/memory/memory.go",
		old: `	case old == nil:
		return s.notFound()
	case old.version`,
		new: `	case old == nil:
		r.version = version + 1
		s.add(sh, r, now)
		return nil
	case old.version`,
		pkg: "./backend/memory", test: `TestConformance/Update`,
	},
	{
		what: `memory: Create replaces what is there`,
		file: "backend/memory/memory.go",
		old:  `if !sh.at(sl).expired(now) {`,
		new:  `if false {`,
		pkg:  "./backend/memory", test: `TestConformance/CreateExists`,
	},
	{
		what: `memory: expiry is left to the sweep`,
		file: "backend/memory/shard.go",
		old: `	if e.expired(now) {
		return nil
	}
	return e`,
		new: `	return e`,
		pkg: "./backend/memory", test: `TestConformance/Expired`,
	},
	{
		what: `memory: an update revives an expired record`,
		file: "backend/memory/memory.go",
		old: `	old := sh.live(r.id, now)
	switch {`,
		new: `	old := sh.live(r.id, now-now)
	switch {`,
		pkg: "./backend/memory", test: `TestConformance/Expired`,
	},
	{
		what: `memory: a touch moves the expiry back`,
		file: "backend/memory/memory.go",
		old:  `e.expires = max(e.expires, expires.UnixMilli())`,
		new:  `e.expires = expires.UnixMilli()`,
		pkg:  "./backend/memory", test: `TestConformance/Touch`,
	},
	{
		what: `memory: an update moves the expiry back`,
		file: "backend/memory/memory.go",
		old: `		r.expires = max(r.expires, old.expires)
`,
		new: `		_ = old.expires
`,
		pkg: "./backend/memory", test: `TestConformance/UpdateExpires`,
	},
	{
		what: `memory: a sweep takes live records`,
		file: "backend/memory/sweep.go",
		old:  `if sh.lists[k][pos].expired(now) {`,
		new:  `if pos%2 == 0 || sh.lists[k][pos].expired(now) {`,
		pkg:  "./backend/memory", test: `TestConformance/Sweep`,
	},
	{
		what: `memory: nothing is evicted`,
		file: "backend/memory/evict.go",
		old:  `	for s.all.over(s.max) {`,
		new:  `	for now < 0 && s.all.over(s.max) {`,
		pkg:  "./backend/memory", test: `TestEvictionOrder`,
	},
	{
		what: `memory: users are evicted first`,
		file: "backend/memory/evict.go",
		old:  `		if s.evictAny(anonymous, newest, now) {`,
		new:  `		if s.evictAny(named, newest, now) {`,
		pkg:  "./backend/memory", test: `TestFloodSparesUsers`,
	},
	{
		what: `memory: an account's logins evict strangers`,
		file: "backend/memory/evict.go",
		old:  `return s.evictOwn(keep, user, now) || s.evictAny(named, keep, now)`,
		new:  `return s.evictAny(named, keep, now)`,
		pkg:  "./backend/memory", test: `TestOwnLeastRecentlyUsedGoesFirst`,
	},
	{
		what: `memory: users leave no room for visitors`,
		file: "backend/memory/evict.go",
		old: `		if user == "" {
			s.drop(newest)`,
		new: `		if user == "" && !s.evictNamed(newest, user, now) {
			s.drop(newest)`,
		pkg: "./backend/memory", test: `TestAnonymousNeverDisplacesUsers`,
	},
	{
		what: `file: no compare-and-swap`,
		file: "backend/file/store.go",
		old:  `			if e.version != rec.Version {`,
		new:  `			if e.version == 0 {`,
		pkg:  "./backend/file", test: `TestContract/UpdateVersions`,
	},
	{
		what: `file: an update is an upsert`,
		file: "backend/file/store.go",
		old: `		return s.locked(ctx, sh, rec.ID, func(h handle, e entry) error {
			if e.version != rec.Version {
				return backend.ErrConflict
			}
			return s.update(sh, h, e, rec)
		})`,
		new: `		err := s.locked(ctx, sh, rec.ID, func(h handle, e entry) error {
			if e.version != rec.Version {
				return backend.ErrConflict
			}
			return s.update(sh, h, e, rec)
		})
		if err == backend.ErrNotFound {
			return s.create(sh, rec)
		}
		return err`,
		pkg: "./backend/file", test: `TestContract/Update`,
	},
	{
		what: `file: DeleteVersion deletes any version`,
		file: "backend/file/store.go",
		old:  `		if e.version != version {`,
		new:  `		if e.version == 0 {`,
		pkg:  "./backend/file", test: `TestContract/DeleteVersion`,
	},
	{
		what: `file: Create replaces what is there`,
		file: "backend/file/dir_unix.go",
		old:  `unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL`,
		new:  `unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC`,
		pkg:  "./backend/file", test: `TestContract/CreateExists`,
	},
	{
		what: `file: expiry is left to the sweep`,
		file: "backend/file/store.go",
		old: `		if e.expired() {
			return backend.ErrNotFound
		}
		rec = e.record(id)`,
		new: `		rec = e.record(id)`,
		pkg: "./backend/file", test: `TestContract/Expired`,
	},
	{
		what: `file: a touch moves the expiry back`,
		file: "backend/file/store.go",
		old:  `if ms := millis(expires); ms > e.expires {`,
		new:  `if ms := millis(expires); ms != e.expires {`,
		pkg:  "./backend/file", test: `TestContract/Touch`,
	},
	{
		what: `file: others may read the files`,
		file: "backend/file/dir_unix.go",
		old:  `unix.Openat(at, name, flags, 0o600)`,
		new:  `unix.Openat(at, name, flags, 0o644)`,
		pkg:  "./backend/file", test: `TestModes`,
	},
	{
		what: `file: a directory that others may write to is used`,
		file: "backend/file/dir_unix.go",
		old:  `case st.Mode&0o022 != 0:`,
		new:  `case st.Mode&0o022 == 0o7777:`,
		pkg:  "./backend/file", test: `TestRefused`,
	},
	{
		what: `file: an update whose flush failed is taken for stored`,
		file: "backend/file/store.go",
		old:  `		s.doubts.add(rec.ID, doubt{version: e.version + 1, expires: ms})`,
		new:  `		_ = ms`,
		pkg:  "./backend/file", test: `TestFailedFlushIsNoSuccess`,
	},
	{
		what: `file: a deletion whose flush failed is taken for final`,
		file: "backend/file/disk.go",
		old:  `		sh.owes.Store(true)`,
		new:  ``,
		pkg:  "./backend/file", test: `TestFailedStepIsNeverTakenForDone`,
	},
	{
		what: `file: a deletion is not flushed`,
		file: "backend/file/store.go",
		old: `		s.dropMarker(string(e.user), id)
		return s.flushDir(sh)`,
		new: `		s.dropMarker(string(e.user), id)
		return nil`,
		pkg: "./backend/file", test: `TestSyncFlushes`,
	},
	{
		what: `file: the directory above is anybody's`,
		file: "backend/file/dir_unix.go",
		old:  `mode.Perm()&0o002 != 0 && mode`,
		new:  `mode.Perm()&0o002 > 2 && mode`,
		pkg:  "./backend/file", test: `TestOpenParentsThatOthersMayWriteTo`,
	},
	{
		what: `file: links are followed`,
		file: "backend/file/dir_unix.go",
		old:  `always = unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC`,
		new:  `always = unix.O_NONBLOCK | unix.O_CLOEXEC`,
		pkg:  "./backend/file", test: `TestNotAFile`,
	},
	{
		what: `file: processes do not lock each other out`,
		file: "backend/file/dir_unix.go",
		old:  `unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB)`,
		new:  `unix.Flock(d.fd, unix.LOCK_SH|unix.LOCK_NB)`,
		pkg:  "./backend/file", test: `TestFrozenProcess`,
	},
	{
		what: `file: a sweep looks at names that are not its own`,
		file: "backend/file/sweep.go",
		old:  `		if _, ok := parseName(base); ok {`,
		new:  `		if _, ok := parseName(base); ok || base != "" {`,
		pkg:  "./backend/file", test: `TestForeignFiles`,
	},
	{
		what: `file: the slot in use is written over`,
		file: "backend/file/store.go",
		old:  `s.writeSlot(h, e.head, 1-e.slot, frame)`,
		new:  `s.writeSlot(h, e.head, e.slot, frame)`,
		pkg:  "./backend/file", test: `TestTorn`,
	},
	{
		what: `file: a large slot's beginning is not written last`,
		file: "backend/file/list.go",
		old:  `	if hd.size() > firstSize && len(frame) > startSize {`,
		new:  `	if len(frame) < 0 {`,
		pkg:  "./backend/file", test: `TestSyncFlushes`,
	},
	{
		what: `file: a list believes a beginning that says another user`,
		file: "backend/file/list.go",
		old:  `		if large && (e.expired() || !of(string(e.user))) {`,
		new:  `		if large && e.expired() {`,
		pkg:  "./backend/file", test: `TestListAfterPowerCut`,
	},
}
