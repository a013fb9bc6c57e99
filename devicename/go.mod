module github.com/chisession/session/devicename

go 1.26.0

require github.com/medama-io/go-useragent v1.2.5

require github.com/boyter/go-string v1.0.5 // indirect
