package otelsession_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/otelsession"
)

func ExampleWrap() {
	exporter := tracetest.NewInMemoryExporter() // otlptracegrpc, say
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	defer provider.Shutdown(context.Background())

	store, err := memory.New(memory.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	manager, err := session.New(session.Config{
		Store: otelsession.Wrap(store, otelsession.Options{TracerProvider: provider}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	app := manager.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("seen", true)
	}))
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/", nil))
	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name)
		for _, a := range span.Attributes {
			fmt.Println(" ", a.Key, a.Value.AsString())
		}
	}
	// Output:
	// create session
	//   db.system.name memory
	//   db.operation.name create
	//   session.outcome ok
}
