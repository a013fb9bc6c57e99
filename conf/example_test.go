package conf_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/chisession/session/conf"
)

// A Beego application's app.conf works as it is.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "conf")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.conf")
	text := `appname = shop
runmode = dev

SessionOn = true
SessionProvider = file
SessionProviderConfig = ./tmp

[prod]
SessionProvider = redis
SessionProviderConfig = ${REDIS||127.0.0.1:6379,100,,0}
SessionGCMaxLifetime = 1800
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	os.Setenv("BEEGO_RUNMODE", "prod")
	defer os.Unsetenv("BEEGO_RUNMODE")
	cfg, err := conf.Load(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cfg.Provider, cfg.SavePath, cfg.IdleTimeout)
	// Output: redis 127.0.0.1:6379,100,,0 30m0s
}

func ExampleFromEnv() {
	os.Setenv("SHOP_SESSION_ON", "true")
	os.Setenv("SHOP_SESSION_PROVIDER", "file")
	os.Setenv("SHOP_SESSION_GCMAXLIFETIME", "30m")
	os.Setenv("SHOP_SESSION_SAVEPAHT", "./tmp")
	_, err := conf.FromEnv("SHOP_SESSION_")
	fmt.Println(err)
	os.Unsetenv("SHOP_SESSION_SAVEPAHT")

	cfg, err := conf.FromEnv("SHOP_SESSION_")
	fmt.Println(cfg.Provider, cfg.IdleTimeout, err)
	// Output:
	// conf: SHOP_SESSION_SAVEPAHT is not a session key; the nearest one is SHOP_SESSION_SAVEPATH
	// file 30m0s <nil>
}

func ExampleKeys() {
	for _, key := range conf.Keys()[:3] {
		fmt.Printf("%s or SESSION_%s (default %s)\n", key.Name, key.Env, key.Default)
	}
	// Output:
	// sessionon or SESSION_ON (default false)
	// sessionprovider or SESSION_PROVIDER (default memory)
	// sessionsavepath or SESSION_SAVEPATH (default the backend's)
}
