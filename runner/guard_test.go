package runner

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

func TestPromise20WhatAServiceSaysOfASignatureIsLeftOut(t *testing.T) {
	for code, kept := range map[string]bool{
		"InvalidSignatureException": false, "SignatureDoesNotMatch": false, "IncompleteSignatureException": false,
		"ProvisionedThroughputExceededException": true,
	} {
		err := public(fmt.Errorf("operation error Kinesis: %w", &smithy.GenericAPIError{Code: code, Message: "x-amz-security-token:SECRET"}))
		require.ErrorContains(t, err, code)
		if !kept {
			require.NotContains(t, err.Error(), "SECRET")
		}
	}
	plain := errors.New("reset")
	require.Equal(t, plain, public(plain))
}
