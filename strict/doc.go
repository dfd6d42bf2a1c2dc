// Package strict reads the documents that decide what is allowed: manifests, route
// files, the operator's policy. Two readers that understand such a document
// differently are an attack, so whatever can be read in two ways is refused.
//
// A document becomes a tree of [Node], from YAML ([Reader.YAML]) or from JSON
// ([Reader.JSON]); a [Reader] takes values out of it and collects what is wrong:
//
//	r := strict.New("policy.yaml", "policy")
//	doc := r.YAML(data)
//	if err := r.Err(); err != nil {
//		return err // no tree
//	}
//	v := r.Object(doc, "", "version", "hosts")
//	r.Version(doc, v)
//	hosts := strict.ParsedList(r, v["hosts"], "hosts", parseHost)
//	return r.Err() // before any value is used
//
// It knows of no particular document, opens no file and keeps no state.
package strict
