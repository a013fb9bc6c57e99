package echo_test

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/tests/frameworks/internal/suite"
)

// dropOnPanic drops what a handler Set before it panicked. It does not recover:
// the panic goes on to middleware.Recover, which is mounted before it.
func dropOnPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		returned := false
		defer func() {
			if !returned {
				session.FromContext(c.Request()).Reload()
			}
		}()
		err := next(c)
		returned = true
		return err
	}
}

func recoverQuietly() echo.MiddlewareFunc {
	return middleware.RecoverWithConfig(middleware.RecoverConfig{DisablePrintStack: true})
}

// app has the suite's routes behind those middlewares.
func app(step <-chan struct{}, middlewares ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	e.Use(middlewares...)
	e.GET("/set/:value", func(c echo.Context) error {
		session.FromContext(c.Request()).Set("value", c.Param("value"))
		return c.String(http.StatusOK, "noted")
	})
	e.GET("/get", func(c echo.Context) error {
		v, ok := session.Get[string](session.FromContext(c.Request()), "value")
		if !ok {
			v = "nothing"
		}
		return c.String(http.StatusOK, v)
	})
	e.POST("/login", func(c echo.Context) error {
		session.FromContext(c.Request()).SetUser("ada")
		flash.Success(c.Request(), "Welcome.")
		return c.Redirect(http.StatusSeeOther, "/home")
	})
	e.GET("/home", func(c echo.Context) error {
		text := session.FromContext(c.Request()).User() + ":"
		for _, m := range flash.Take(c.Request()) {
			text += m.String()
		}
		return c.String(http.StatusOK, text)
	})
	e.POST("/logout", func(c echo.Context) error {
		session.FromContext(c.Request()).Destroy()
		return c.Redirect(http.StatusSeeOther, "/get")
	})
	e.GET("/json", func(c echo.Context) error {
		session.FromContext(c.Request()).Set("value", "json")
		c.Response().Header().Set("ETag", `"1"`)
		return c.JSON(http.StatusCreated, suite.Body)
	})
	e.GET("/empty", func(c echo.Context) error {
		session.FromContext(c.Request()).Set("value", "empty")
		return c.NoContent(http.StatusNoContent)
	})
	e.GET("/refuse", func(c echo.Context) error {
		session.FromContext(c.Request()).Set("value", "refuse")
		return echo.NewHTTPError(http.StatusForbidden, "not for you") // HTTPErrorHandler writes it
	})
	e.GET("/panic", func(c echo.Context) error {
		session.FromContext(c.Request()).Set("value", "panic")
		panic("boom")
	})
	e.GET("/stream", func(c echo.Context) error {
		s := session.FromContext(c.Request())
		s.Set("value", "stream")
		fmt.Fprintln(c.Response(), "first")
		c.Response().Flush()
		<-step
		s.Set("value", "late")
		_, err := fmt.Fprintln(c.Response(), "second")
		return err
	})
	return e
}
