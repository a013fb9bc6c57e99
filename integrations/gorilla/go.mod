module github.com/chisession/session/integrations/gorilla

go 1.26.0

replace github.com/chisession/session => ../../

require (
	github.com/chisession/session v0.1.0
	github.com/gorilla/mux v1.8.1
)

require (
	github.com/google/uuid v1.6.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
