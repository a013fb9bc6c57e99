package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine describes the processor and the system.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	system := runtime.GOOS
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		system = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d cores, %s", model, runtime.NumCPU(), system)
}

// modules returns the versions of the libraries compared and of the drivers.
func modules() (names []string) {
	wanted := []string{"go-chi/chi", "alexedwards/scs", "gorilla/sessions", "boj/redistore", "gomodule/redigo", "redis/go-redis", "go-sql-driver/mysql"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, dep := range info.Deps {
		for _, w := range wanted {
			if strings.Contains(dep.Path, w) {
				names = append(names, dep.Path+" "+dep.Version)
			}
		}
	}
	return names
}
