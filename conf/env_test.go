package conf

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

func TestFromEnv(t *testing.T) {
	t.Setenv("SHOP_SESSION_ON", "true")
	t.Setenv("SHOP_SESSION_PROVIDER", "redis")
	t.Setenv("SHOP_SESSION_SAVEPATH", ` rediss://:"${p}#;w=@h:6379/0 `)
	t.Setenv("SHOP_SESSION_GCMAXLIFETIME", "30m")
	t.Setenv("SHOP_SESSION_COOKIESAMESITE", "strict")
	t.Setenv("SHOP_SESSION_DOMAIN", "")
	t.Setenv("SHOP_SESSIONS_OTHER", "x")
	t.Setenv("shop_session_name", "x")
	got, err := FromEnv("SHOP_SESSION_")
	if err != nil {
		t.Fatalf("FromEnv: %v", err)
	}
	expectConfig(t, "FromEnv", got, session.Config{
		Provider: "redis", SavePath: `rediss://:"${p}#;w=@h:6379/0`, IdleTimeout: 30 * time.Minute,
		Cookie: cookie.Options{SameSite: http.SameSiteStrictMode},
	})

	t.Setenv("SHOP_SESSION_ON", "off") // at the call, not before
	if got, err = FromEnv("SHOP_SESSION_"); err != nil || !got.Disabled {
		t.Errorf("FromEnv with ON=off = Disabled %t, %v; want true, nil", got.Disabled, err)
	}
}

func TestFromEnvOfNothing(t *testing.T) {
	got, err := FromEnv("NOBODY_HAS_THIS_")
	if err != nil {
		t.Fatalf("FromEnv: %v", err)
	}
	expectConfig(t, "FromEnv", got, session.Config{Disabled: true})
}

func TestFromEnvErrors(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		parts   []string
	}{
		{[]string{"S_PROVIDR=x"}, []string{"S_PROVIDR", "S_PROVIDER"}},
		{[]string{"S_provider=x"}, []string{"S_provider", "S_PROVIDER"}},
		{[]string{"S_=x"}, []string{"S_ "}},
		{[]string{"S_SAVE_PATH=x"}, []string{"S_SAVE_PATH", "S_SAVEPATH"}},
		{[]string{"S_SAVEPATH=x", "S_PROVIDERCONFIG=y"}, []string{"S_SAVEPATH", "S_PROVIDERCONFIG"}},
		{[]string{"S_GCMAXLIFETIME="}, []string{"S_GCMAXLIFETIME is blank"}},
		{[]string{"S_COOKIEINSECURE=1", "S_COOKIESAMESITE=none"}, []string{"S_COOKIEINSECURE", "S_COOKIESAMESITE", "contradict"}},
		{[]string{"S_MAXBYTES=x", "S_ON=x", "S_FOO=x"}, []string{"S_MAXBYTES", "S_ON", "S_FOO"}},
	} {
		_, err := fromEnv("S_", tt.environ)
		expectError(t, fmt.Sprintf("FromEnv with %q", tt.environ), err, tt.parts...)
	}
	_, err := FromEnv("")
	expectError(t, "FromEnv of no prefix", err, "SESSION_")
}

// Every X11 desktop sets SESSION_MANAGER.
func TestFromEnvOnADesktop(t *testing.T) {
	got, err := fromEnv("SESSION_", []string{"SESSION_MANAGER=local/host:@/tmp/.ICE-unix/1", "SESSION_ON=true"})
	if err != nil || got.Disabled {
		t.Errorf("FromEnv = Disabled %t, %v; want false, nil", got.Disabled, err)
	}
}
