{{with .flash.success}}<p>{{.}}</p>{{end}}{{with .flash.error}}<p>{{.}}</p>{{end}}
<p>{{with .user}}Hello, {{.}}{{else}}Hello{{end}}</p>
<ul>{{range .cart}}<li>{{.Count}} {{.Name}}</li>{{end}}</ul>
