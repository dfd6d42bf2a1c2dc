// Package scrub takes a secret out of a stream of bytes that was not supposed to
// contain it: the echo of an injected credential.
//
// A [Set] knows the secret raw and in the encodings in which servers give things
// back (see [forms]). Every byte of a match is replaced by '*', so that lengths,
// and with them Content-Length and frame headers, stay true. A [Reader] works on
// a stream: it holds back only bytes that may be the beginning of a match, so a
// stream that pauses is not delayed, and a match is found wherever the stream is
// cut.
//
// What it cannot do: find a secret that the server transformed otherwise
// (reversed, encrypted, one character per response). Routes with a credential
// are narrowed with a path list where the server offers such transformations.
package scrub
