package gdal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"changde/problem"
)

// run starts a program locked in and waits for its end. Whatever becomes of it, the
// caller's process is not harmed: it is killed with its group when the context or its
// time ends, and it dies with this process.
func (t *Tool) run(ctx context.Context, j job) (output, error) {
	if t.sandbox.Landlock == 0 && !t.weak {
		return output{}, problem.New(problem.Unsupported, "gdal-sandbox", j.name,
			"内核没有 Landlock（Linux 5.13 起，且须启用），不能隔离运行 GDAL，因此不读该格式",
			"the kernel has no Landlock (Linux 5.13 and later, where enabled), so GDAL cannot be kept apart and the format is not read")
	}
	text, err := json.Marshal(cell{
		Program: j.program, Env: t.environment(j), Read: append(j.read[:len(j.read):len(j.read)], t.library...), Write: []string{j.out}, Exec: t.programs,
		Landlock: t.sandbox.Landlock > 0, Filter: t.sandbox.Filter,
		CPU: uint64(max(1, j.limits.CPU/time.Second)), Memory: uint64(j.limits.Memory), Size: uint64(j.limits.Size),
		Files: uint64(j.limits.Files), Processes: uint64(j.limits.Processes),
	})
	if err != nil {
		return output{}, fmt.Errorf("gdal: %w", err)
	}
	killed, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(killed, "/proc/self/exe")
	cmd.Args = append([]string{marker, string(text)}, j.args...)
	cmd.Env = []string{}
	cmd.Dir = j.dir
	stdout, stderr := &bounded{most: maxStdout}, &bounded{most: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = attributes(t.sandbox.Namespace)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	// The child dies with the thread that started it, which must live until then.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return output{}, fmt.Errorf("gdal: start a child: %w", err)
	}
	stop := make(chan struct{})
	go watch(j, stop, func() { cancel(errTooLarge) })
	err = cmd.Wait()
	close(stop)
	o := output{stdout: stdout.buf.Bytes(), stderr: stderr.buf.Bytes()}
	if cmd.ProcessState == nil {
		return o, fmt.Errorf("gdal: wait for a child: %w", err)
	}
	o.state.code = cmd.ProcessState.ExitCode()
	o.state.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		o.state.signal = w.Signal()
	}
	if o.state.signal == syscall.SIGKILL {
		switch cause := context.Cause(killed); {
		case errors.Is(cause, errTooLarge):
			o.state.large = true
		case errors.Is(cause, errLate):
			o.state.late = true
		case cause != nil:
			return o, fmt.Errorf("convert %s: %w", j.name, cause)
		}
	}
	if stdout.cut {
		return o, problem.New(problem.TooLarge, "gdal-layers", j.name, "文件的图层或字段过多，请拆分后交付", "the file has too many layers or fields; deliver it in parts")
	}
	return o, j.failure(o)
}

// watch kills a child that fills its folder: the limit of the kernel is about each
// file, not about all of them.
func watch(j job, stop <-chan struct{}, kill func()) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			// Two results exist while the second is made of the first.
			if folderSize(j.out) > 2*j.limits.Size+1<<20 {
				kill()
				return
			}
		}
	}
}
