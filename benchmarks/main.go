package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "")
	only := flag.String("only", "", "")
	profile := flag.String("profile", "", "")
	flag.Parse()
	_ = quick
	p := pace{rounds: 100, turn: 3 * time.Millisecond}
	re := regexp.MustCompile(*only)
	for _, kind := range kinds {
		match := false
		for _, s := range scenarios {
			match = match || re.MatchString(kind+"/"+string(s))
		}
		if !match {
			continue
		}
		pl, err := openPlace(kind)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer pl.close()
		for _, s := range scenarios {
			if !re.MatchString(kind + "/" + string(s)) {
				continue
			}
			a, err := pl.player(nameOurs, s)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			if *profile != "" {
				f, _ := os.Create(*profile)
				pprof.StartCPUProfile(f)
				n, _ := calibrate(a, 100*time.Millisecond)
				for range 50 {
					if _, err := timed(a, n); err != nil {
						fmt.Println(err)
					}
				}
				pprof.StopCPUProfile()
				f.Close()
				continue
			}
			for _, name := range pl.opponents(s) {
				b, err := pl.player(name, s)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				d, err := fight(a, b, p)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%-8s %-3s %-12s ratio %.3f (%.3f–%.3f) inverse %.2f  %v %v\n", kind, s, name, d.ratio, d.low, d.high, 1/d.ratio, d.timeA, d.timeB)
			}
		}
	}
}
