package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"changde/postgis"
	"changde/problem"
)

var (
	errNoResource = problem.New(problem.NotFound, "no-resource", "", "没有这个资源；从 / 出发的链接列出了全部资源", "there is no such resource; the links from / lead to all there are")
	errMethod     = problem.New(problem.Invalid, "method-not-allowed", "", "该资源不支持此方法", "the resource does not take this method")
	errTooSlow    = problem.New(problem.Busy, "request-too-slow", "", "请求未能在时限内完成；请缩小范围，或稍后重试", "the request could not be answered in the time allowed; narrow it, or try again later")
	errMedia      = problem.New(problem.Invalid, "media-type", "Content-Type", "请求体须为 application/json", "the body must be application/json")
)

// problemJSON is RFC 9457. title and detail are Chinese; titleEn and detailEn
// say the same in English.
type problemJSON struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	TitleEN   string `json:"titleEn"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	DetailEN  string `json:"detailEn,omitempty"`
	Where     string `json:"where,omitempty"`
	Instance  string `json:"instance"`
	RequestID string `json:"requestId"`
}

// statusOf is the only place where the meaning of a problem becomes a status.
func statusOf(p *problem.Error) (status int, zh, en string) {
	switch p {
	case errMethod:
		return http.StatusMethodNotAllowed, "方法不支持", "Method not allowed"
	case errMedia:
		return http.StatusUnsupportedMediaType, "媒体类型不支持", "Unsupported media type"
	case errRange:
		return http.StatusRequestedRangeNotSatisfiable, "范围不在文件之内", "Range not satisfiable"
	case errUnlike:
		return http.StatusPreconditionFailed, "前提不成立", "Precondition failed"
	case errCoding:
		return http.StatusNotAcceptable, "没有可接受的编码", "Not acceptable"
	}
	switch p.Kind {
	case problem.NotFound:
		return http.StatusNotFound, "未找到", "Not found"
	case problem.Unauthenticated:
		return http.StatusUnauthorized, "密钥无效", "Key not valid"
	case problem.Forbidden:
		return http.StatusForbidden, "无权操作", "Not permitted"
	case problem.Conflict:
		return http.StatusConflict, "与现状冲突", "Conflict"
	case problem.TooLarge:
		return http.StatusRequestEntityTooLarge, "超出上限", "Too large"
	case problem.Unsupported:
		return http.StatusUnprocessableEntity, "按规则不予接受", "Refused by rule"
	case problem.Busy:
		return http.StatusServiceUnavailable, "暂时繁忙", "Busy"
	}
	return http.StatusBadRequest, "请求有误", "Bad request"
}

// statusClientClosed is what the log says of a client that left; nobody reads
// the answer.
const statusClientClosed = 499

func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	body := problemJSON{Instance: r.URL.EscapedPath(), RequestID: requestID(r.Context())}
	var p *problem.Error
	// A database that is away is the same problem whichever statement meets it.
	if fault := postgis.Fault(r.Context(), err, "answer"); errors.As(fault, &p) {
		err = fault
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		p = problem.Wrap(err, problem.TooLarge, "body-too-large", "", "请求体超出上限", "the body is beyond the bound")
		fallthrough
	case errors.As(err, &p):
		body.Status, body.Title, body.TitleEN = statusOf(p)
		body.Type = "/problems/" + p.Code
		body.Detail, body.DetailEN, body.Where = p.ZH, p.EN, p.Where
		if p.Err != nil {
			s.config.Log.DebugContext(r.Context(), "problem", "code", p.Code, "cause", p.Err)
		}
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		w.WriteHeader(statusClientClosed)
		return
	case errors.Is(err, context.DeadlineExceeded):
		s.writeProblem(w, r, errTooSlow)
		return
	default:
		s.config.Log.ErrorContext(r.Context(), "request failed", "err", err, "request", body.RequestID)
		body.Status, body.Type = http.StatusInternalServerError, "/problems/internal"
		body.Title, body.TitleEN = "平台内部错误", "Internal error"
		body.Detail = "请把 requestId 告知平台管理员"
		body.DetailEN = "please give the requestId to the platform's operators"
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	for _, name := range []string{"ETag", "Link", "Content-Encoding", releaseHeader, revisionHeader, omittedHeader, generalizedHeader} {
		h.Del(name) // of the answer that was begun
	}
	switch body.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="changde"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(body.Status)
	if r.Method != http.MethodHead {
		// The client may have gone; there is nobody left to tell.
		_ = json.NewEncoder(w).Encode(body)
	}
}
