package trust

// bundleVars are the variables that replace what a program trusts, each with who reads it.
var bundleVars = []string{
	"SSL_CERT_FILE",                      // OpenSSL and all that use its defaults: Python, Ruby, PHP, Perl; Go; rustls-native-certs; uv
	"CURL_CA_BUNDLE",                     // curl built elsewhere; requests
	"REQUESTS_CA_BUNDLE",                 // Python requests, which brings certifi; poetry, conda
	"PIP_CERT",                           // pip, which brings its own copy of certifi
	"GIT_SSL_CAINFO",                     // git, over http.sslCAInfo of a configuration
	"CARGO_HTTP_CAINFO",                  // cargo, which brings its own libcurl
	"AWS_CA_BUNDLE",                      // AWS CLI and SDKs, which bring certifi
	"NIX_SSL_CERT_FILE",                  // programs from Nix
	"HTTPLIB2_CA_CERTS",                  // Google's older Python clients
	"SYSTEM_CERTIFICATE_PATH",            // Haskell's x509-system: stack, cabal
	"HEX_CACERTS_PATH",                   // mix and rebar3
	"PERL_LWP_SSL_CA_FILE",               // LWP with Mozilla::CA
	"JULIA_SSL_CA_ROOTS_PATH",            // Julia's package manager
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",   // gRPC's C core: Python, Ruby, PHP
	"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", // gcloud
}

// anchorVars are the variables that add to what a program trusts.
var anchorVars = []string{
	"NODE_EXTRA_CA_CERTS", // Node, npm, yarn, pnpm; Bun; Electron
	"DENO_CERT",           // Deno, which has Mozilla's roots in it
}

// environ returns the variables of a bottle. SSL_CERT_DIR is not among them: Go and
// rustls would read the whole directory at each start, and every program that
// heeds it heeds SSL_CERT_FILE.
func environ() []string {
	var env []string
	for _, name := range bundleVars {
		env = append(env, name+"="+Bundle)
	}
	for _, name := range anchorVars {
		env = append(env, name+"="+Anchor)
	}
	return env
}
