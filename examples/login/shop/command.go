// Package shop is the login example, but for the backends that its program
// knows by name: examples/login has those that the root module has drivers for,
// examples/login/stores those that are modules of their own as well.
package shop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/chisession/session"
	"github.com/chisession/session/conf"
)

// Options are what the command line says.
type Options struct {
	addr, provider, savePath, config, cert, key string
	idle, confirm                               time.Duration
	deviceBound                                 bool
	passwordCost                                int // of bcrypt
}

// Flags reads the program's command line. What is wrong in it ends the program,
// as package flag does, and so does -help.
func Flags() Options {
	o := Options{passwordCost: bcrypt.DefaultCost}
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on")
	flag.StringVar(&o.provider, "provider", "", "where sessions are kept: memory (the default), file, mysql, redis, postgres, sqlite, goredis or rueidis")
	flag.StringVar(&o.savePath, "save-path", "", "where in there: a directory, a file, an address, a DSN")
	flag.StringVar(&o.config, "config", "", "a Beego app.conf to read the session settings from; -provider and -save-path go before it")
	flag.DurationVar(&o.idle, "idle", 0, "how long a session lives without activity, such as 2m; default one hour")
	flag.DurationVar(&o.confirm, "confirm", 5*time.Minute, "how long a password counts before paying; after that it is asked for again")
	flag.StringVar(&o.cert, "cert", "", "certificate file (PEM): serve HTTPS, with a __Host- cookie")
	flag.StringVar(&o.key, "key", "", "the certificate's key file (PEM)")
	flag.BoolVar(&o.deviceBound, "device-bound", false, "bind logins to the browser's device, where it can do so (Chrome on Windows and macOS); needs -cert")
	flag.Parse()
	return o
}

// Main serves until Ctrl-C or SIGTERM, and lets the requests under way finish.
// An error ends the program.
func Main(o Options) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends, and then lets the requests under way finish.
func run(ctx context.Context, o Options) error {
	cfg, err := o.Sessions()
	if err != nil {
		return err
	}
	shop, err := newShop(cfg, o.passwordCost)
	if err != nil {
		return err
	}
	defer shop.close()
	shop.confirmFor = o.confirm
	if o.deviceBound {
		if err := shop.bindToDevices(); err != nil {
			return err
		}
	}

	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	server := newServer(shop)
	failed := make(chan error, 1)
	go func() {
		if o.cert != "" {
			failed <- server.ServeTLS(listener, o.cert, o.key)
		} else {
			failed <- server.Serve(listener)
		}
	}()
	fmt.Print(o.welcome(listener.Addr().String()))

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return err
	}
	return shop.close()
}

// Sessions returns the configuration of the sessions. It opens no store yet.
func (o Options) Sessions() (session.Config, error) {
	var cfg session.Config
	if (o.cert == "") != (o.key == "") {
		return cfg, errors.New("-cert and -key go together: give both")
	}
	if o.deviceBound && o.cert == "" {
		return cfg, errors.New("-device-bound needs -cert and -key: browsers bind sessions over HTTPS only")
	}
	if o.config != "" {
		var err error
		if cfg, err = conf.Load(o.config); err != nil {
			return cfg, err
		}
		if cfg.Disabled {
			return cfg, fmt.Errorf("%s does not say sessionon = true, and without sessions nobody can sign in", o.config)
		}
	}
	if o.provider != "" {
		cfg.Provider, cfg.SavePath = o.provider, ""
	}
	if o.savePath != "" {
		cfg.SavePath = o.savePath
	}
	if o.idle != 0 {
		cfg.IdleTimeout = o.idle
	}
	if o.deviceBound {
		cfg.On = alarm
	}
	if o.config == "" && o.cert == "" && loopback(o.addr) {
		// Plain HTTP on this machine, which Safari takes no Secure cookie over.
		// Chromium and Firefox do.
		cfg.Cookie.Insecure = true
	}
	if o.cert != "" && cfg.Cookie.Name == "" {
		// The browser itself now sees to it that no other host and no plain
		// HTTP page has set this cookie (RFC 6265bis §4.1.3).
		cfg.Cookie.Name = "__Host-session"
	}
	return cfg, nil
}

// welcome says what to open, and how to see the promises with curl.
func (o Options) welcome(addr string) string {
	url, curl := "http://"+addr, "curl -s"
	if o.cert != "" {
		url, curl = "https://"+addr, "curl -sk"
	}
	return fmt.Sprintf(`Open %[1]s and sign in as %[3]s, password %[4]s. Ctrl-C ends it.

Or see with curl what sessions promise; paste it into a shell:

  u=%[1]s; j=$(mktemp); c() { %[2]s -b $j -c $j "$@"; }
  msg() { grep -o '<p class="message[^<]*'; }; token() { tail -1 $j | cut -f7; }

  # Reading sets no cookie and stores nothing: 0 lines.
  %[2]s -i $u/ | grep -ci '^set-cookie'
  # A change, a redirect, and a message that shows once.
  c -d item=mug $u/cart/add; c $u/ | msg; echo again:; c $u/ | msg
  # The login replaces the token, and the cart is still there.
  token; cp $j $j.0; c -d name=%[3]s -d password=%[4]s $u/login; token; c $u/cart | grep -o '>Mug<'
  # The token from before the login is nobody's.
  %[2]s -b $j.0 $u/status
  # A logout while a slow page runs stays a logout.
  cp $j $j.1; (%[2]s -b $j.1 "$u/slow?seconds=3" | msg &); sleep 1; c -d '' $u/logout; sleep 3; %[2]s -b $j.1 $u/status

`, url, curl, demoUser, demoPassword)
}
