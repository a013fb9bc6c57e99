package promsession_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/chisession/session"
	"github.com/chisession/session/promsession"
)

func Example() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(promsession.New(manager, promsession.Options{CountEvery: time.Minute}))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	families, err := registry.Gather()
	fmt.Println(len(families), "metrics,", err)
	// Output:
	// 18 metrics, <nil>
}
