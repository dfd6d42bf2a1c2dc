// Package scrub takes secrets out of a stream of bytes that was not supposed to
// contain them: the echo of an injected credential.
//
// A [Set] knows each secret raw and in the encodings in which servers give things
// back (see [forms]). Every byte of a match is replaced by '*', so that lengths,
// and with them Content-Length and frame headers, stay true. A [Mask] works on a
// stream that comes in pieces, and a [Reader] on one that is read: a match is found
// wherever the stream is cut.
//
// What may be the beginning of a match is held back until more of the stream tells. A
// stream without marks, whose far end may be waiting for an answer, must not hang on a
// letter: there a Reader lets go of at most three bytes, and never of more than an
// eighth of the shortest secret. What was let go is remembered, and the rest of the
// match is masked all the same.
//
// What it cannot do: find a secret that the server transformed otherwise
// (reversed, encrypted, one character per response). Routes with a credential
// are narrowed with a path list where the server offers such transformations.
package scrub
