//go:build wasip1

package mlintern

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"mlintern/bindings/imports/ml_intern_plugin_credential"
	"mlintern/bindings/imports/ml_intern_plugin_log"
	"mlintern/bindings/imports/ml_intern_plugin_types"
	"mlintern/bindings/imports/wasi_config_store"
	"mlintern/bindings/imports/wasi_http_outgoing_handler"
	http "mlintern/bindings/imports/wasi_http_types"
	"mlintern/bindings/imports/wasi_io_streams"
	"mlintern/internal/wit/types"
)

// WASI's error for what lies outside of every granted folder.
func isOutside(err error) bool {
	var number syscall.Errno
	const notCapable = 76
	return errors.As(err, &number) && number == notCapable
}

// Log writes one line to the session's diagnostics.
func Log(level Level, message string) {
	ml_intern_plugin_log.Write(uint8(level), message, types.None[string]())
}

// Progress shows message beside the running call; fraction is 0 to 1, or below 0 where nobody knows.
// False asks to end the call soon, with what there is.
func Progress(message string, fraction float64) bool {
	known := types.None[float32]()
	if fraction >= 0 {
		known = types.Some(float32(fraction))
	}
	return ml_intern_plugin_log.Progress(message, known) == ml_intern_plugin_types.Control_Proceed
}

// Config is a key of the configuration, and whether anybody set it.
func Config(key string) (string, bool) {
	result := wasi_config_store.Get(key)
	if result.IsErr() || result.Ok().Tag() == types.OptionNone {
		return "", false
	}
	return strings.Clone(result.Ok().Some()), true
}

// HasCredential says whether the user has set a value for a credential that the plugin requests.
func HasCredential(name string) (bool, error) {
	result := ml_intern_plugin_credential.IsSet(name)
	if result.IsErr() {
		return false, Lift(result.Err())
	}
	return result.Ok(), nil
}

func upstream(message string) error {
	return &Failure{Code: Upstream, Message: message, Retryable: true}
}

func send(request Request) (*Response, error) {
	invalid := func(what string) error {
		return Fail(Internal, "`%s`: %s is not valid", request.URL, what)
	}
	target, err := url.Parse(request.URL)
	if err != nil || target.Host == "" {
		return nil, invalid("the URL")
	}
	fields := http.MakeFields()
	for name, values := range request.Header {
		for _, value := range values {
			if fields.Append(strings.ToLower(name), []byte(value)).IsErr() {
				return nil, invalid("the header " + name)
			}
		}
	}
	if request.Body != nil {
		fields.Append("content-length", []byte(strconv.Itoa(len(request.Body))))
	}
	outgoing := http.MakeOutgoingRequest(fields)
	scheme := http.MakeSchemeOther(target.Scheme)
	switch target.Scheme {
	case "https":
		scheme = http.MakeSchemeHttps()
	case "http":
		scheme = http.MakeSchemeHttp()
	}
	for what, result := range map[string]types.Result[types.Unit, types.Unit]{
		"the method": outgoing.SetMethod(methodOf(request.Method)),
		"the scheme": outgoing.SetScheme(types.Some(scheme)),
		"the host":   outgoing.SetAuthority(types.Some(target.Host)),
		"the path":   outgoing.SetPathWithQuery(types.Some(target.RequestURI())),
	} {
		if result.IsErr() {
			return nil, invalid(what)
		}
	}
	body := outgoing.Body().Ok()
	handled := wasi_http_outgoing_handler.Handle(outgoing, types.None[*http.RequestOptions]())
	if handled.IsErr() {
		body.Drop()
		return nil, failureOfCode(handled.Err(), request.URL)
	}
	writeBody(body, request.Body)
	future := handled.Ok()
	defer future.Drop()
	ready := future.Subscribe()
	ready.Block()
	ready.Drop()
	result := future.Get().Some().Ok()
	if result.IsErr() {
		return nil, failureOfCode(result.Err(), request.URL)
	}
	return readResponse(result.Ok(), request)
}

// What becomes of the body, the answer says better.
func writeBody(body *http.OutgoingBody, bytes []byte) {
	// The most that the host takes in one blocking write.
	const chunk = 4096
	stream := body.Write().Ok()
	for len(bytes) > 0 {
		length := min(len(bytes), chunk)
		if stream.BlockingWriteAndFlush(bytes[:length]).IsErr() {
			break
		}
		bytes = bytes[length:]
	}
	stream.Drop()
	http.OutgoingBodyFinish(body, types.None[*http.Fields]())
}

func readResponse(incoming *http.IncomingResponse, request Request) (*Response, error) {
	defer incoming.Drop()
	response := &Response{Status: int(incoming.Status()), Header: map[string][]string{}}
	headers := incoming.Headers()
	for _, entry := range headers.Entries() {
		name := strings.ToLower(entry.F0)
		response.Header[name] = append(response.Header[name], string(entry.F1))
	}
	headers.Drop()
	most := request.MaxBytes
	if most == 0 {
		most = defaultMaxBytes
	}
	body := incoming.Consume().Ok()
	defer body.Drop()
	stream := body.Stream().Ok()
	defer stream.Drop()
	for {
		read := stream.BlockingRead(1 << 16)
		if read.IsErr() {
			if read.Err().Tag() == wasi_io_streams.StreamError_Closed {
				return response, nil
			}
			return nil, upstream("`" + request.URL + "`: the connection was cut")
		}
		if len(response.Body)+len(read.Ok()) > most {
			return nil, Fail(Limit, "`%s`: the answer has more than %d bytes", request.URL, most)
		}
		response.Body = append(response.Body, read.Ok()...)
	}
}

func methodOf(name string) http.Method {
	switch name {
	case "", "GET":
		return http.MakeMethodGet()
	case "HEAD":
		return http.MakeMethodHead()
	case "POST":
		return http.MakeMethodPost()
	case "PUT":
		return http.MakeMethodPut()
	case "DELETE":
		return http.MakeMethodDelete()
	case "PATCH":
		return http.MakeMethodPatch()
	default:
		return http.MakeMethodOther(name)
	}
}

func failureOfCode(code http.ErrorCode, url string) error {
	switch code.Tag() {
	case http.ErrorCode_HttpRequestDenied, http.ErrorCode_DestinationIpProhibited:
		return &Failure{Code: Denied, Capability: "http", Message: "`" + url + "` is outside this plugin's grant; " +
			"`[[request.http]]` in its manifest must list the host, method and path, and the user must grant it"}
	case http.ErrorCode_DnsTimeout, http.ErrorCode_ConnectionTimeout, http.ErrorCode_ConnectionReadTimeout,
		http.ErrorCode_ConnectionWriteTimeout, http.ErrorCode_HttpResponseTimeout:
		return Fail(Timeout, "`%s`: no answer in time", url)
	case http.ErrorCode_ConnectionLimitReached:
		return Fail(Limit, "more requests than `requests-per-minute` or `requests-at-once` in this plugin's `[limits]` allow")
	case http.ErrorCode_HttpRequestBodySize, http.ErrorCode_HttpRequestUriTooLong,
		http.ErrorCode_HttpRequestHeaderSectionSize, http.ErrorCode_HttpRequestHeaderSize,
		http.ErrorCode_HttpResponseHeaderSectionSize, http.ErrorCode_HttpResponseHeaderSize,
		http.ErrorCode_HttpResponseBodySize:
		return Fail(Limit, "`%s`: the request or its answer is too large", url)
	case http.ErrorCode_HttpRequestMethodInvalid, http.ErrorCode_HttpRequestUriInvalid,
		http.ErrorCode_HttpRequestLengthRequired:
		return Fail(Internal, "`%s`: the request is not valid", url)
	case http.ErrorCode_ConnectionRefused:
		return upstream("`" + url + "`: connection refused")
	case http.ErrorCode_DnsError, http.ErrorCode_DestinationNotFound:
		return upstream("`" + url + "`: the host's name has no address")
	case http.ErrorCode_InternalError:
		if text := code.InternalError(); text.Tag() == types.OptionSome {
			return upstream("`" + url + "`: " + text.Some())
		}
	}
	return upstream("`" + url + "`: no answer (case " + strconv.Itoa(int(code.Tag())) + " of wasi:http)")
}

// Lower is an error as the bindings return it; for the packages of the kinds.
func Lower(err error) ml_intern_plugin_types.Error {
	failure := FailureOf(err)
	switch text := failure.Message; failure.Code {
	case InvalidInput:
		return ml_intern_plugin_types.MakeErrorInvalidInput(text)
	case Denied:
		capability := failure.Capability
		if capability == "" {
			capability = "plugin"
		}
		return ml_intern_plugin_types.MakeErrorDenied(ml_intern_plugin_types.Denial{Capability: capability, Detail: text})
	case AuthRequired:
		return ml_intern_plugin_types.MakeErrorAuthRequired(text)
	case NotFound:
		return ml_intern_plugin_types.MakeErrorNotFound(text)
	case Conflict:
		return ml_intern_plugin_types.MakeErrorConflict(text)
	case Limit:
		return ml_intern_plugin_types.MakeErrorLimit(text)
	case Timeout:
		return ml_intern_plugin_types.MakeErrorTimeout()
	case Cancelled:
		return ml_intern_plugin_types.MakeErrorCancelled()
	case ContextOverflow:
		return ml_intern_plugin_types.MakeErrorContextOverflow(text)
	case Upstream:
		status := types.None[uint16]()
		if failure.Status > 0 {
			status = types.Some(uint16(failure.Status))
		}
		return ml_intern_plugin_types.MakeErrorUpstream(ml_intern_plugin_types.Upstream{
			Status: status, Message: text, Retryable: failure.Retryable})
	case Unsupported:
		return ml_intern_plugin_types.MakeErrorUnsupported(text)
	default:
		return ml_intern_plugin_types.MakeErrorInternal(text)
	}
}

// Lift is an error that the host gave.
func Lift(err ml_intern_plugin_types.Error) error {
	failure := &Failure{Code: Code(err.Tag())}
	switch failure.Code {
	case InvalidInput:
		failure.Message = err.InvalidInput()
	case Denied:
		failure.Message, failure.Capability = err.Denied().Detail, err.Denied().Capability
	case AuthRequired:
		failure.Message = err.AuthRequired()
	case NotFound:
		failure.Message = err.NotFound()
	case Conflict:
		failure.Message = err.Conflict()
	case Limit:
		failure.Message = err.Limit()
	case Timeout:
		failure.Message = "timed out"
	case Cancelled:
		failure.Message = "cancelled"
	case ContextOverflow:
		failure.Message = err.ContextOverflow()
	case Upstream:
		failure.Message, failure.Retryable = err.Upstream().Message, err.Upstream().Retryable
		failure.Status = int(err.Upstream().Status.Some())
	case Unsupported:
		failure.Message = err.Unsupported()
	default:
		failure.Message = err.Internal()
	}
	return failure
}
