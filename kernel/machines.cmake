# machine_test(MACHINE NAME SECONDS COMMAND...): a test MACHINE.NAME with the label MACHINE, um or um-debug or um-lockstat,
# that boots this kernel for the command. The command has SECONDS; it is skipped if that exits with 77.
function(machine_test machine name seconds)
	if(SANITIZE)
		return()
	endif()
	math(EXPR with_boot "${seconds} + 300")
	add_test(NAME ${machine}.${name}
		COMMAND ${CMAKE_SOURCE_DIR}/kernel/boot --flavour ${machine} --timeout ${seconds} -- ${ARGN})
	set_tests_properties(${machine}.${name} PROPERTIES LABELS ${machine} SKIP_RETURN_CODE 77
		TIMEOUT ${with_boot} FIXTURES_REQUIRED ${machine})
endfunction()
