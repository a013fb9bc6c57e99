package testserver

import (
	"flag"
	"runtime"
	"strconv"
)

// MoreParallel has TestMain run times as many parallel tests side by side as
// usual, as most of them wait; unless the command line says how many.
func MoreParallel(times int) {
	flag.Parse()
	usual := runtime.GOMAXPROCS(0)
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(usual) {
		_ = f.Value.Set(strconv.Itoa(times * usual)) // a number it takes
	}
}
