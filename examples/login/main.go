// Login is a small shop with all that sessions are for: a login that renews
// the session, a cart that is kept across it, messages across redirects, "keep
// me signed in", a list of devices, a password asked again before paying, live
// streams that end with the session, logout, here or everywhere, and a word to
// those whose session has ended by itself.
//
//	go run ./examples/login
//	go run ./examples/login -provider file -save-path ./tmp
//	go run ./examples/login -provider redis -save-path 127.0.0.1:6379
//	go run ./examples/login -provider mysql -save-path 'user:password@tcp(127.0.0.1:3306)/shop'
//	go run ./examples/login -config app.conf
//	go run ./examples/login -cert cert.pem -key key.pem
package main

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
	_ "github.com/chisession/session/backend/mysql" // known by name from here on
	_ "github.com/chisession/session/backend/redis"
	"github.com/chisession/session/conf"
)

// options are what the command line says.
type options struct {
	addr, provider, savePath, config, cert, key string
	idle, confirm                               time.Duration
	passwordCost                                int // of bcrypt
}

func main() {
	o := options{passwordCost: bcrypt.DefaultCost}
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on")
	flag.StringVar(&o.provider, "provider", "", "where sessions are kept: memory (the default), file, mysql or redis")
	flag.StringVar(&o.savePath, "save-path", "", "where in there: a directory, an address, a DSN")
	flag.StringVar(&o.config, "config", "", "a Beego app.conf to read the session settings from; -provider and -save-path go before it")
	flag.DurationVar(&o.idle, "idle", 0, "how long a session lives without activity, such as 2m; default one hour")
	flag.DurationVar(&o.confirm, "confirm", 5*time.Minute, "how long a password counts before paying; after that it is asked for again")
	flag.StringVar(&o.cert, "cert", "", "certificate file (PEM): serve HTTPS, with a __Host- cookie")
	flag.StringVar(&o.key, "key", "", "the certificate's key file (PEM)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends, and then lets the requests under way finish.
func run(ctx context.Context, o options) error {
	cfg, err := o.sessions()
	if err != nil {
		return err
	}
	shop, err := newShop(cfg, o.passwordCost)
	if err != nil {
		return err
	}
	defer shop.close()
	shop.confirmFor = o.confirm

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

// sessions returns the configuration of the sessions.
func (o options) sessions() (session.Config, error) {
	var cfg session.Config
	if (o.cert == "") != (o.key == "") {
		return cfg, errors.New("-cert and -key go together: give both")
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
func (o options) welcome(addr string) string {
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
