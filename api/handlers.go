package api

import (
	"syscall"
	"time"

	"bottled/bottle"
)

// MaxGrace bounds [StopRequest.GraceSeconds], in seconds.
const MaxGrace = 300

func (s *Server) version(*call) (any, error) { return ThisVersion(), nil }

func (s *Server) doctor(q *call) (any, error) {
	ok, features := s.bottles.Doctor(q.ctx)
	d := Doctor{OK: ok, Features: make([]Feature, 0, len(features))}
	for _, f := range features {
		d.Features = append(d.Features, Feature(f))
	}
	return d, nil
}

func (s *Server) list(q *call) (any, error) {
	infos := s.bottles.List(q.caller, q.flags["all"])
	bottles := make(array[Bottle], 0, len(infos))
	for _, i := range infos {
		bottles = append(bottles, wireBottle(i))
	}
	return bottles, nil
}

func (s *Server) create(q *call) (any, error) {
	o, err := q.createOptions()
	if err != nil {
		closeFiles(q.files)
		return nil, err
	}
	if o.Stdio, err = stdioOf(q.files, o.Terminal); err != nil {
		return nil, err
	}
	info, err := s.bottles.Create(q.ctx, q.caller, o)
	if err != nil {
		return nil, err
	}
	q.ref = info.ID // for the log
	return wireBottle(info), nil
}

func (q *call) createOptions() (o bottle.CreateOptions, err error) {
	var r CreateRequest
	if err = decode(q.body, &r); err != nil {
		return o, err
	}
	if r.Name != "" {
		if err = checkName(r.Name); err != nil {
			return o, err
		}
	}
	if err = firstError(checkManifest(r.Manifest), checkFiles(r.Files), checkCommand(r.Command), checkWorkDir(r.Dir), checkEnv(r.Env)); err != nil {
		return o, err
	}
	o = bottle.CreateOptions{
		Name: r.Name, Manifest: []byte(r.Manifest), ManifestName: r.ManifestName, Command: r.Command,
		Files: contentsOf(r.Files), Dir: r.Dir, Env: r.Env, Terminal: r.Terminal, Attached: r.Attached,
	}
	if o.User, err = identityOf(q.caller, r.User); err != nil {
		return o, err
	}
	o.Tokens, err = tokensOf(r.Tokens)
	return o, err
}

func (s *Server) inspect(q *call) (any, error) {
	d, err := s.bottles.Inspect(q.ctx, q.caller, q.ref)
	if err != nil {
		return nil, err
	}
	return Inspection{
		Bottle: wireBottle(d.Info), Manifest: string(d.Manifest), UpstreamProxy: wireChain(d.Chain),
		Allowlist: d.Allowlist, Kernel: d.Kernel,
	}, nil
}

func (s *Server) wait(q *call) (any, error) {
	exit, err := s.bottles.Wait(q.ctx, q.caller, q.ref, q.flags["attached"])
	return Exit(exit), err
}

func (s *Server) exec(q *call) (any, error) {
	o, err := q.execOptions()
	if err != nil {
		closeFiles(q.files)
		return nil, err
	}
	if o.Stdio, err = stdioOf(q.files, o.Terminal); err != nil {
		return nil, err
	}
	id, pid, err := s.bottles.Exec(q.ctx, q.caller, q.ref, o)
	return Exec{ID: id, PID: pid}, err
}

func (q *call) execOptions() (o bottle.ExecOptions, err error) {
	var r ExecRequest
	if err = decode(q.body, &r); err != nil {
		return o, err
	}
	if r.Dir != "" {
		if err = checkWorkDir(r.Dir); err != nil {
			return o, err
		}
	}
	err = firstError(checkCommand(r.Command), checkEnv(r.Env))
	return bottle.ExecOptions{Command: r.Command, Dir: r.Dir, Env: r.Env, Terminal: r.Terminal}, err
}

func (s *Server) waitExec(q *call) (any, error) {
	exit, err := s.bottles.WaitExec(q.ctx, q.caller, q.ref, q.exec)
	return Exit(exit), err
}

func (s *Server) signal(q *call) (any, error) {
	var r SignalRequest
	if err := decode(q.body, &r); err != nil {
		return nil, err
	}
	// 32 and 33 are the C library's own (signal(7)).
	if r.Signal < 1 || r.Signal > 64 || r.Signal == 32 || r.Signal == 33 {
		return nil, invalidf("signal %d: use 1 to 64 without 32 and 33", r.Signal)
	}
	if r.Exec != "" {
		if err := checkName(r.Exec); err != nil {
			return nil, err
		}
		q.exec = r.Exec
	}
	return struct{}{}, s.bottles.Signal(q.ctx, q.caller, q.ref, r.Exec, syscall.Signal(r.Signal))
}

func (s *Server) updateRoutes(q *call) (any, error) {
	var r RoutesRequest
	if err := decode(q.body, &r); err != nil {
		return nil, err
	}
	if err := firstError(checkManifest(r.Manifest), checkFiles(r.Files)); err != nil {
		return nil, err
	}
	tokens, err := tokensOf(r.Tokens)
	if err != nil {
		return nil, err
	}
	generation, routes, err := s.bottles.UpdateRoutes(q.ctx, q.caller, q.ref, r.ManifestName, []byte(r.Manifest), contentsOf(r.Files), tokens)
	return RoutesResponse{Generation: generation, Routes: routes}, err
}

func (s *Server) stop(q *call) (any, error) {
	var r StopRequest
	if err := decode(q.body, &r); err != nil {
		return nil, err
	}
	if r.GraceSeconds < 0 || r.GraceSeconds > MaxGrace {
		return nil, invalidf("grace_seconds: 0 to %d", MaxGrace)
	}
	return struct{}{}, s.bottles.Stop(q.ctx, q.caller, q.ref, time.Duration(r.GraceSeconds)*time.Second)
}

func wireBottle(i bottle.Info) Bottle {
	b := Bottle{
		ID: i.ID, Name: i.Name, Owner: i.Owner, User: User(i.User), State: State(i.State),
		Command: i.Command, Dir: i.Dir, Created: i.Created, Generation: i.Generation, Routes: i.Routes,
		PID: i.PID, WorkerPID: i.WorkerPID, Cgroup: i.Cgroup, NetNS: i.NetNS, Adopted: i.Adopted,
	}
	if i.Exit != nil {
		e := Exit(*i.Exit)
		b.Exit = &e
	}
	return b
}

func wireChain(c *bottle.Chain) *UpstreamProxy {
	if c == nil {
		return nil
	}
	u := &UpstreamProxy{URL: c.URL, CA: c.CA, Scheme: c.Scheme, From: "manifest"}
	if c.Operator {
		u.From = "policy"
	}
	return u
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
